"""How a measure is declared: what it is called, what it needs, what it computes, what its tables and figures are.

A measure is one :class:`Measure` in one file of this room. Everything else loops over ``measures.MEASURES``: the
grammar of study files, the plan, the runner, tables, figures, the report and the documents.

What a measure needs are the names of the parameters of its ``compute``: fields of :class:`Things` and :class:`Values`,
RDMs of layers (:data:`LAYER_RDMS`), what belongs to one network (:data:`NETWORK_THINGS`), and tables of measures before
it. It is given these and nothing else, and the key of its step is the hash of exactly these.
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
        One RDM of all stimuli per patch (and animal), normalised as the fits ask.
    views : rsatoolbox.rdm.RDMs or None
        One RDM of the views of each exemplar a patch, units z-scored; None where stimuli have no views, or RDMs alone
        are known.
    """

    rdms: RDMs
    views: RDMs | None


@dataclass(frozen=True)
class LayerRdms:
    """RDMs of the layers of one network, by their kind: a name of :data:`LAYER_RDMS`."""

    by_kind: dict[str, RDMs]


@dataclass(frozen=True)
class Measured:
    """What a measure gives.

    Parameters
    ----------
    tables : dict of str to pandas.DataFrame
        By the names that the measure declares.
    notes : tuple of str
        What a reader of the numbers must know; they stand in the report and in the provenance.
    """

    tables: Tables
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facts:
    """What is known of a study before anything is computed.

    Parameters
    ----------
    kinds : tuple of (str, str)
        Model and training regime of its networks, each pair once.
    """

    kinds: tuple[tuple[str, str], ...]

    @property
    def regimes(self) -> tuple[str, ...]:
        """Training regimes, each once."""
        return tuple(dict.fromkeys(regime for _, regime in self.kinds))


@dataclass(frozen=True)
class Values:
    """Values of a study file, by the names under which measures need them.

    Parameters
    ----------
    seed : int
        Of the study.
    background : float or None
        Gray level that replaced the background of the stimuli, 0..1.
    image_size_px : int
        Height and width of the stimuli.
    comparison : Comparison
        How RDMs are made, compared and tested; the values below are some of its own.
    dissimilarity : str
        Of the RDMs that fits compare.
    normalize : str or None
        Normalisation of units in them.
    method : str
        How RDMs are compared.
    control : tuple of str
        What is partialled out of RDMs before they are compared.
    n_splits : int
        Random halves of the neurons, for noise ceilings.
    correction : str
        For multiplicity, over the hypotheses.
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
        """Names that a measure may need."""
        return tuple(one.name for one in fields(cls))


@dataclass(frozen=True)
class Things:
    """What a study has for its measures and figures, by the names under which they need it.

    Parameters
    ----------
    values : Values
        Each is needed under its own name.
    stimuli : StimulusSet
        What is shown.
    recording : xarray.DataArray or None
        What was recorded, or simulated; None where there is no recording.
    simulated : bool
        Whether the recording is simulated.
    hypotheses : tuple of Hypothesis
        The claims that the study declares.
    training_curves : pandas.DataFrame or None
        Learning curves of the networks that the study trains; None where it trains none.
    layer_rdms : mapping of str to rsatoolbox.rdm.RDMs
        RDMs of the layers of all networks, each needed under its own name of :data:`LAYER_RDMS`.
    patches : Patches or None
        RDMs of the recording; None until they are made.
    fit_result : FitResult or None
        Fits of all layers to all patches, with their uncertainty; None until they are made.
    tables : mapping of str to pandas.DataFrame
        Those of all measures so far, each needed under its own name, or all as ``tables``.
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
        """Names that a measure may need, beside those of values, of RDMs of layers and of tables."""
        return tuple(one.name for one in fields(cls) if one.name not in ("values", "layer_rdms"))

    def named(self, names: Iterable[str]) -> dict[str, object]:
        """Those that are there among some names, as arguments of the function that needs them."""
        own = {name: getattr(self, name) for name in self.names()}
        there = {name: thing for name, thing in own.items() if thing is not None}
        there |= {**vars(self.values), **self.layer_rdms, **self.tables}
        return {name: there[name] for name in names if name in there}


NETWORK_THINGS = {
    "network": "Network: one network of the study",
    "layers": "tuple of str: its layers that are looked at",
    "snapshots": "iterable of (epoch, Network): the network in the course of its training",
}
"""What belongs to one network: a measure that needs one of them is made once a network."""
LAYER_RDMS: dict[str, Callable[[str, str | None], tuple[RdmRequest, ...]]] = {
    "layer_rdms": lambda dissimilarity, normalize: (RdmRequest(dissimilarity, normalize),),
    "view_rdms": lambda _dissimilarity, _normalize: (RdmRequest(within="identity"),),
    "raw_view_rdms": lambda _dissimilarity, _normalize: (RdmRequest(within="identity", normalize=None),),
    "part_rdms": lambda dissimilarity, normalize: tuple(
        RdmRequest(dissimilarity, normalize, part=part) for part in RDM_PARTS
    ),
}
"""RDMs of the layers of all networks, by the name of the parameter: what is requested of each network, given the
study's dissimilarity and normalisation. Those of one network are made in one presentation of the stimuli."""


@dataclass(frozen=True)
class Drawing:
    """A figure of a run.

    Parameters
    ----------
    name : str
        File name without suffix.
    draw : callable
        Gives a matplotlib figure. Its parameters name the tables that are drawn, or ``layer_rdms`` and ``patches``; it
        is drawn where those without a default are there.
    caption : str
        What the report says under it.
    when : callable
        Whether there is something to draw in a study, given its :class:`Facts`.
    """

    name: str
    draw: Callable[..., Figure]
    caption: str
    when: Callable[[Facts], bool] = lambda _facts: True


@dataclass(frozen=True)
class Summary:
    """A table that sums up another one, over networks, exemplars or channels.

    Parameters
    ----------
    table : Table
    source : str
        Name of the table that is summed up.
    summarise : callable
        Takes its rows, of all networks; gives those of the summary.
    """

    table: Table
    source: str
    summarise: Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class ReportTable:
    """A table as the report shows it.

    Parameters
    ----------
    name : str
        Of the table, or of the rows that are made of several.
    caption : str or callable
        Where it needs the rows, a function of these.
    columns : tuple of str or Column, or None
        Those that are shown, where they hold anything; None: all of the table but ``layer_index``.
    rows : callable or None
        Makes the rows of all tables of the run; None: those of the table ``name``.
    lead : bool
        Whether it stands at the top of the page.
    """

    name: str
    caption: str | Callable[[pd.DataFrame], str]
    columns: tuple[str | Column, ...] | None = None
    rows: Callable[[Mapping[str, pd.DataFrame]], pd.DataFrame] | None = None
    lead: bool = False


def _no_sentences(_tables: Mapping[str, pd.DataFrame], _study: Mapping[str, Any]) -> list[str]:
    return []


@dataclass(frozen=True)
class Measure:
    """One measure of a study, from its key in a study file to its section of the report.

    Parameters
    ----------
    key : str
        In ``[outputs]`` of a study file, where it is optional.
    title : str
        Of its section of the report; measures of one title share a section.
    about : str
        What it measures, one line for the documents.
    compute : callable or None
        Gives a :class:`Measured`. Its parameters name what it needs (see the module); ``settings`` is its own section.
        A parameter with a default is given where it is there. None: it only draws what others measured.
    tables : tuple of Table
        Those that ``compute`` gives.
    summaries : tuple of Summary
        Further tables, made of these once those of all networks are there.
    figures : tuple of Drawing
    shown : tuple of ReportTable
        What the report shows of its tables.
    settings : type of Section, or None
        Its section of a study file, where ``true`` stands for the defaults; None: it has no settings.
    optional : bool
        Whether a study must ask for it. Otherwise it is measured wherever all that it needs is there.
    of_views : bool
        Whether it needs identities in several views; a study of other stimuli goes without it, or is refused where it
        asks for it.
    work : callable
        ``work(settings, n_stimuli)``: how much there is to do for one network (or for the study), in images shown.
    seconds : float
        That one unit of work takes on one core, until the cache knows better.
    depends : callable or None
        ``depends(settings, seed)``: what it depends on beyond what it is given, such as checksums of files that its
        settings name, as JSON holds it. Called before any work starts: the place to refuse them.
    check : callable or None
        ``check(settings, facts)`` raises ``ValueError`` where the settings do not go with the study.
    intro : str
        First paragraph of its section.
    summary, methods, warnings : callable
        Sentences for the top of the report, for its methods and for its warnings, from the tables of a run and the
        study as it was run (nested dictionaries); called where the measure's tables are there.
    """

    key: str
    title: str
    about: str
    compute: Callable[..., Measured] | None
    tables: tuple[Table, ...]
    summaries: tuple[Summary, ...] = ()
    figures: tuple[Drawing, ...] = ()
    shown: tuple[ReportTable, ...] = ()
    settings: type[Section] | None = None
    optional: bool = True
    of_views: bool = False
    work: Callable[[Any, int], float] = lambda _settings, n_stimuli: n_stimuli
    seconds: float = 0.01
    depends: Callable[[Any, int], Any] | None = None
    check: Callable[[Any, Facts], None] | None = None
    intro: str = ""
    summary: Callable[[Mapping[str, pd.DataFrame], Mapping[str, Any]], list[str]] = _no_sentences
    methods: Callable[[Mapping[str, pd.DataFrame], Mapping[str, Any]], list[str]] = _no_sentences
    warnings: Callable[[Mapping[str, pd.DataFrame], Mapping[str, Any]], list[str]] = _no_sentences
    needs: dict[str, bool] = field(init=False)
    """What ``compute`` needs, and whether it cannot do without."""

    def __post_init__(self):
        needs = {} if self.compute is None else needs_of(self.compute)
        if (needs.pop("settings", None) is None) != (self.settings is None):
            raise ValueError(f"measure {self.key!r}: compute takes settings where, and only where, they are declared")
        object.__setattr__(self, "needs", needs)

    def compute_from(self, arguments: Mapping[str, object]) -> Measured:
        """What it gives, for arguments by their names.

        Raises
        ------
        ValueError
            If it only draws what others measured.
        """
        if self.compute is None:
            raise ValueError(f"measure {self.key!r} computes nothing; it draws the tables of others")
        return self.compute(**arguments)

    @property
    def per_network(self) -> bool:
        """Whether it is made once a network."""
        return not self.needs.keys().isdisjoint(NETWORK_THINGS)

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
    """Names of a function's parameters, and whether each must be given."""
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name: parameter.default is parameter.empty for parameter in parameters}
