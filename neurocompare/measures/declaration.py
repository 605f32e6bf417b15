"""How a measure is declared: what it is called, what it needs, what it computes, what its tables and figures are.

A measure is one :class:`Measure` in one file of this room. Everything else loops over ``measures.MEASURES``: the
grammar of study files, the plan, the runner, tables, figures, the report and the documents.

What a measure needs are the names of the parameters of its ``compute``: things of a study (:data:`THINGS`), RDMs of
layers (:data:`LAYER_RDMS`), values of the study (:data:`VALUES`), and tables of measures before it. It is given these
and nothing else, and the key of its step is the hash of exactly these.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field
from rsatoolbox.rdm import RDMs

from neurocompare.measures.settings import Section, switch
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.model_rdms import PARTS, RdmRequest

__all__ = [
    "LAYER_RDMS",
    "NETWORK_THINGS",
    "THINGS",
    "VALUES",
    "Drawing",
    "Facts",
    "Measure",
    "Measured",
    "Patches",
    "Shown",
    "Summary",
    "Tables",
    "needs_of",
]

Tables = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Patches:
    """RDMs of the recorded patches.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        One RDM of all stimuli a patch (and animal), normalised as the fits ask.
    views : rsatoolbox.rdm.RDMs or None
        One RDM of the views of each exemplar a patch, units z-scored; None where stimuli have no views.
    """

    rdms: RDMs
    views: RDMs | None


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


THINGS = {
    "stimuli": "StimulusSet: what is shown",
    "simulated": "bool: whether the recording is simulated",
    "recording": "xarray.DataArray: what was recorded, or simulated",
    "patches": "Patches: RDMs of the recording",
    "fit_result": "FitResult: fits of all layers to all patches, with their uncertainty",
    "training_curves": "DataFrame: learning curves of the networks that the study trains",
    "network": "Network: one network of the study; the measure is made once a network",
    "layers": "tuple of str: layers of the network that are looked at",
    "snapshots": "iterable of (epoch, Network): the network in the course of its training",
    "hypotheses": "tuple of Hypothesis: the claims that the study declares",
    "tables": "mapping of str to DataFrame: the tables of all measures before this one",
}
"""What a measure may need of a study, by the name of its parameter."""
NETWORK_THINGS = ("network", "layers", "snapshots")
"""Those that belong to one network: a measure that needs one of them is made once a network."""
VALUES = {
    "seed": "int: of the study",
    "background": "float or None: gray level that replaced the background of the stimuli",
    "image_size_px": "int: height and width of the stimuli",
    "comparison": "Comparison: how RDMs are made, compared and tested",
    "dissimilarity": "str: of the RDMs that fits compare",
    "normalize": "str or None: normalisation of units in them",
    "method": "str: how RDMs are compared",
    "control": "tuple of str: what is partialled out of RDMs before they are compared",
    "n_splits": "int: random halves of the neurons, for noise ceilings",
    "correction": "str: for multiplicity, over the hypotheses",
}
"""Values of the study file that a measure may need, by the name of its parameter."""
LAYER_RDMS: dict[str, Callable[[str, str | None], tuple[RdmRequest, ...]]] = {
    "layer_rdms": lambda dissimilarity, normalize: (RdmRequest(dissimilarity, normalize),),
    "view_rdms": lambda _dissimilarity, _normalize: (RdmRequest(within="identity"),),
    "raw_view_rdms": lambda _dissimilarity, _normalize: (RdmRequest(within="identity", normalize=None),),
    "part_rdms": lambda dissimilarity, normalize: tuple(
        RdmRequest(dissimilarity, normalize, part=part) for part in PARTS
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
class Shown:
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
    shown : tuple of Shown
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
    shown: tuple[Shown, ...] = ()
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
