"""The record that declares a measure: its key and settings, inputs, computation, tables and figures.

A measure is one :class:`Measure` in one file of this package. Everything else loops over ``measures.MEASURES``: the
grammar of study files, the plan, the runner, tables, figures, the report and the documents.

The parameter names of a measure's ``compute`` function are its inputs: fields of :class:`Things` and :class:`Values`,
RDMs of layers (:data:`LAYER_RDMS`), objects of one network (:data:`NETWORK_THINGS`), and tables of earlier measures.
The function gets exactly these inputs, and the cache key of its step is the hash of exactly these.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from pydantic import Field
from rsatoolbox.rdm import RDMs

from neural_data.stimuli import StimulusSet
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.hypothesis import Hypothesis
from neurocompare.measures.comparison import Comparison
from neurocompare.measures.settings import Section, switch
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.model_rdms import RDM_PARTS, RdmRequest

__all__ = [
    "LAYER_RDMS",
    "NETWORK_THINGS",
    "Drawing",
    "Explored",
    "Facts",
    "LayerRdms",
    "Measure",
    "Measured",
    "Patches",
    "ReportTable",
    "Summary",
    "Tables",
    "Things",
    "Values",
    "needs_of",
]

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Patches:
    """RDMs of the recorded patches.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        One RDM of all stimuli per patch (and animal), with the normalisation of the fits.
    views : rsatoolbox.rdm.RDMs or None
        One RDM of the views of each exemplar per patch, units z-scored; None if stimuli have no views, or if the
        recording consists of RDMs only.
    """

    rdms: RDMs
    views: RDMs | None


@dataclass(frozen=True)
class LayerRdms:
    """RDMs of the layers of one network, by their kind: a name of :data:`LAYER_RDMS`.

    Parameters
    ----------
    by_kind : dict of str to rsatoolbox.rdm.RDMs
        One entry a kind.
    """

    by_kind: dict[str, RDMs]


@dataclass(frozen=True)
class Measured:
    """Result of a measure.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        By table name, as declared by the measure.
    notes : tuple of str
        Caveats for readers of the numbers, shown in the report and in the provenance.
    """

    tables: Tables
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """Facts about a study that are known before anything is computed.

    Parameters
    ----------
    kinds : tuple of (str, str)
        Model and training regime of its networks, without repeats.
    can_have_bins : bool
        Whether its recording may have time bins: False for a simulated one without ``bin_ms``, and for RDMs.
    """

    kinds: tuple[tuple[str, str], ...]
    can_have_bins: bool = True

    @property
    def regimes(self) -> tuple[str, ...]:
        """Training regimes, without repeats."""
        return tuple(dict.fromkeys(regime for _, regime in self.kinds))


@dataclass(frozen=True)
class Values:
    """Values of a study file that measures can take as inputs, by parameter name.

    Parameters
    ----------
    seed : int
        Seed of the study.
    background : float or None
        Gray level that replaced the background of the stimuli, 0..1.
    image_size_px : int
        Height and width of the stimuli.
    comparison : Comparison
        How RDMs are computed, compared and tested; the values below are fields of it.
    dissimilarity : str
        Dissimilarity of the RDMs in fits.
    normalize : str or None
        Normalisation of units for these RDMs.
    method : str
        Method of comparing RDMs.
    control : tuple of str
        What is partialled out of RDMs before they are compared.
    n_splits : int
        Random halves of the neurons, for noise ceilings.
    correction : str
        Correction for multiplicity, over the hypotheses.
    """

    seed: int
    background: float | None
    image_size_px: int
    comparison: Comparison
    dissimilarity: str
    normalize: str | None
    method: str
    control: tuple[str, ...]
    n_splits: int
    correction: str

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Parameter names that a measure can use."""
        return tuple(one.name for one in fields(cls))


@dataclass(frozen=True)
class Things:
    """Inputs that a study offers to its measures and figures, by parameter name.

    Parameters
    ----------
    values : Values
        Each field is an input under its own name.
    stimuli : StimulusSet
        Stimuli of the study.
    recording : xarray.DataArray or None
        The recorded or simulated responses; None without a recording.
    simulated : bool
        Whether the recording is simulated.
    hypotheses : tuple of Hypothesis
        The claims that the study declares.
    training_curves : pandas.DataFrame or None
        Learning curves of the networks that the study trains; None if it trains none.
    layer_rdms : mapping of str to rsatoolbox.rdm.RDMs
        RDMs of the layers of all networks, by the names in :data:`LAYER_RDMS`.
    patches : Patches or None
        RDMs of the recording; None until they are computed.
    fit_result : FitResult or None
        Fits of all layers to all patches, with their uncertainty; None until they are computed.
    tables : mapping of str to pandas.DataFrame
        Tables of all measures so far, each an input under its own name, or all of them as ``tables``.
    """

    values: Values
    stimuli: StimulusSet
    recording: xr.DataArray | None
    simulated: bool
    hypotheses: tuple[Hypothesis, ...]
    training_curves: pd.DataFrame | None = None
    layer_rdms: Mapping[str, RDMs] = field(default_factory=dict)
    patches: Patches | None = None
    fit_result: FitResult | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Parameter names that a measure can use, besides those of values, RDMs of layers and tables."""
        return tuple(one.name for one in fields(cls) if one.name not in ("values", "layer_rdms"))

    def named(self, names: Iterable[str]) -> dict[str, object]:
        """The available inputs among the given names, as keyword arguments."""
        own = {name: getattr(self, name) for name in self.names()}
        there = {name: thing for name, thing in own.items() if thing is not None}
        there |= {**vars(self.values), **self.layer_rdms, **self.tables}
        return {name: there[name] for name in names if name in there}


NETWORK_THINGS = {
    "network": "Network: one network of the study",
    "layers": "tuple of str: its layers that are looked at",
    "snapshots": "iterable of (epoch, Network): the network in the course of its training",
}
"""Inputs that belong to one network: a measure with one of them is computed once per network."""
LAYER_RDMS: dict[str, Callable[[str, str | None], tuple[RdmRequest, ...]]] = {
    "layer_rdms": lambda dissimilarity, normalize: (RdmRequest(dissimilarity, normalize),),
    "view_rdms": lambda _dissimilarity, _normalize: (RdmRequest(within="identity"),),
    "raw_view_rdms": lambda _dissimilarity, _normalize: (RdmRequest(within="identity", normalize=None),),
    "distance_rdms": lambda _dissimilarity, normalize: (RdmRequest("euclidean", normalize),),
    "part_rdms": lambda dissimilarity, normalize: tuple(
        RdmRequest(dissimilarity, normalize, part=part) for part in RDM_PARTS
    ),
}
"""RDMs of the layers of all networks, by the name of the parameter: a function from the
study's dissimilarity and normalisation to the RDMs to compute. Those of one network are computed in one pass."""


@dataclass(frozen=True)
class Drawing:
    """A figure of a run.

    Parameters
    ----------
    name : str
        File name without suffix.
    draw : callable
        Returns a matplotlib figure. Its parameters name the tables it draws, or ``layer_rdms`` and ``patches``; it is
        drawn if all parameters without a default are available.
    caption : str
        Caption in the report.
    when : callable
        Whether a study, given its :class:`Facts`, has anything to draw.
    lead : bool
        Whether it can be the main figure, at the top of the report; the first of those that are drawn is.
    """

    name: str
    draw: Callable[..., Figure]
    caption: str
    when: Callable[[Facts], bool] = lambda _facts: True
    lead: bool = False


@dataclass(frozen=True)
class Summary:
    """A table that summarises another one over networks, exemplars or channels.

    Parameters
    ----------
    table : Table
        Name and columns of the summary.
    source : str
        Name of the table that is summarised.
    summarise : callable
        From the rows of all networks to the rows of the summary.
    """

    table: Table
    source: str
    summarise: Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class ReportTable:
    """A table in the report.

    Parameters
    ----------
    name : str
        Name of the table, or of the rows combined from several tables.
    caption : str or callable
        Text, or a function from the rows to text.
    columns : tuple of str or Column, or None
        Columns shown, without empty ones; None: all columns except ``layer_index``.
    rows : callable or None
        Makes the rows from all tables of the run; None: the rows of the table ``name``.
    lead : bool
        Whether it is at the top of the page.
    """

    name: str
    caption: str | Callable[[pd.DataFrame], str]
    columns: tuple[str | Column, ...] | None = None
    rows: Callable[[Mapping[str, pd.DataFrame]], pd.DataFrame] | None = None
    lead: bool = False


@dataclass(frozen=True)
class Explored:
    """Profiles over layers that a reader of the report can point at.

    Parameters
    ----------
    name, caption : str
        Name of the figure in the page, and the text below it.
    table : str
        Table whose numbers are drawn; without it there is no figure.
    panel : str
        What a reader chooses between, such as ``Patch``.
    y_label : callable
        From the rows of this table to what the numbers are.
    rows : callable
        From all tables of a run to rows of ``reporting.report.PLOT_COLUMNS``.
    """

    name: str
    caption: str
    table: str
    panel: str
    y_label: Callable[[pd.DataFrame], str]
    rows: Callable[[Mapping[str, pd.DataFrame]], pd.DataFrame]


def _no_sentences(_tables: Mapping[str, pd.DataFrame], _study: Mapping[str, Any]) -> list[str]:
    return []


@dataclass(frozen=True)
class Measure:
    """One measure of a study, from its key in a study file to its section of the report.

    Parameters
    ----------
    key : str
        Key in ``[outputs]`` of a study file, for an optional measure.
    title : str
        Title of its section of the report; measures with the same title share a section.
    about : str
        What it measures, in one line, for the documents.
    compute : callable or None
        Returns a :class:`Measured`. Its parameters name its inputs (see the module's docstring); ``settings`` is its
        section of the study file. Inputs with a default are passed if available. None: the measure only draws tables of
        other measures.
    tables : tuple of Table
        Tables that ``compute`` returns.
    summaries : tuple of Summary
        Further tables, computed from these after all networks are finished.
    figures : tuple of Drawing
        Its figures, which are drawn from tables.
    shown : tuple of ReportTable
        Its tables in the report.
    explored : Explored or None
        Its interactive figure in the report.
    settings : type of Section, or None
        Its section of a study file (``true`` means the defaults); None: it has no settings.
    optional : bool
        Whether it is computed only if the study file requests it; otherwise whenever its inputs are available.
    of_views : bool
        Whether it needs identities in several views; with other stimuli it is left out, or the study is refused if it
        requests the measure.
    work : callable
        ``work(settings, n_stimuli)``: amount of work for one network (or for the study), in images presented.
    seconds : float
        Seconds that one unit of work takes on one core, until the cache has measured times.
    depends : callable or None
        ``depends(settings, seed)``: further contents of the cache key, as JSON values, such as checksums of files that
        the settings name. It is called before any work starts, so it can refuse such files.
    spared : callable
        ``spared(settings)``: inputs with a default that these settings do not need, so that they are not computed.
    check : callable or None
        ``check(settings, facts)`` raises ``ValueError`` if the settings do not fit the study.
    intro : str
        First paragraph of its section.
    summary, methods, warnings : callable
        Sentences for the top of the report, its methods and its warnings, from the tables of a run and the resolved
        study (nested dictionaries); called if the run has the measure's tables.
    """

    key: str
    title: str
    about: str
    compute: Callable[..., Measured] | None
    tables: tuple[Table, ...]
    summaries: tuple[Summary, ...] = ()
    figures: tuple[Drawing, ...] = ()
    shown: tuple[ReportTable, ...] = ()
    explored: Explored | None = None
    settings: type[Section] | None = None
    optional: bool = True
    of_views: bool = False
    work: Callable[[Any, int], float] = lambda _settings, n_stimuli: n_stimuli
    seconds: float = 0.01
    depends: Callable[[Any, int], Any] | None = None
    spared: Callable[[Any], tuple[str, ...]] = lambda _settings: ()
    check: Callable[[Any, Facts], None] | None = None
    intro: str = ""
    summary: Callable[[Mapping[str, pd.DataFrame], Mapping[str, Any]], list[str]] = _no_sentences
    methods: Callable[[Mapping[str, pd.DataFrame], Mapping[str, Any]], list[str]] = _no_sentences
    warnings: Callable[[Mapping[str, pd.DataFrame], Mapping[str, Any]], list[str]] = _no_sentences
    needs: dict[str, bool] = field(init=False)
    """Inputs of ``compute``, and whether each is required."""

    def __post_init__(self):
        needs = {} if self.compute is None else needs_of(self.compute)
        if (needs.pop("settings", None) is None) != (self.settings is None):
            raise ValueError(f"measure {self.key!r}: compute takes settings where, and only where, they are declared")
        object.__setattr__(self, "needs", needs)

    def compute_from(self, arguments: Mapping[str, object]) -> Measured:
        """Result for arguments given by name.

        Raises
        ------
        ValueError
            If the measure only draws tables of other measures.
        """
        if self.compute is None:
            raise ValueError(f"measure {self.key!r} computes nothing; it draws the tables of others")
        return self.compute(**arguments)

    def needed(self, settings: Section | None) -> dict[str, bool]:
        """Inputs that it needs with these settings, and whether each is required."""
        spared = self.spared(settings)
        return {name: must for name, must in self.needs.items() if must or name not in spared}

    @property
    def per_network(self) -> bool:
        """Whether it is computed once per network."""
        return not self.needs.keys().isdisjoint(NETWORK_THINGS)

    @property
    def of_stimuli(self) -> bool:
        """Whether it needs stimuli, and neither networks nor a recording."""
        required = {name for name, always in self.needs.items() if always}
        return "stimuli" in required and required <= {"stimuli", *Values.names()}

    @property
    def all_tables(self) -> tuple[Table, ...]:
        """Its tables and their summaries."""
        return (*self.tables, *(summary.table for summary in self.summaries))

    @property
    def option(self) -> tuple[Any, Any]:
        """Type and default of its key in ``[outputs]``."""
        if self.settings is None:
            return bool, Field(False, description=self.about)
        return Annotated[self.settings | None, switch(self.settings)], Field(None, description=self.about)


def needs_of(function: Callable[..., Any]) -> dict[str, bool]:
    """Names of a function's parameters, and whether each is required."""
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default is parameter.empty for parameter in parameters}
