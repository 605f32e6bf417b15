"""Tables, a page of figures and a report that describe a recording without a model.

Takes the results of ``comparison.description``; computes no statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurocompare.comparison.description import VERDICTS, RecordingDescription
from neurocompare.measures.columns import columns
from neurocompare.reporting.drawing import errorbar, new_figure, save_figure, style
from neurocompare.reporting.report import Page, PageFigure, PageSection, PageTable, write_page
from neurocompare.reporting.tables import Column, Table, ordered, write_table

__all__ = ["DESCRIPTION_TABLES", "draw_description", "write_description"]

_REGION_COLOURS = {"ML": "#0072B2", "MF": "#0072B2", "MLMF": "#0072B2", "AL": "#D55E00", "AM": "#009E73"}
_COLOURS = ("#222222", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours of shares, and of regions with other names, in turn."""
_SHARES = {"view_share": "view", "identity_share": "identity", "interaction_share": "both together"}


def _share_columns() -> tuple[Column, ...]:
    made = []
    for share, what in _SHARES.items():
        made += [
            Column(share, f"share of {what} in the variance of the signal, pooled over neurons", "share"),
            Column(f"{share}_ci_low", "lower end of its interval", "share"),
            Column(f"{share}_ci_high", "upper end of its interval", "share"),
        ]
    return tuple(made)


DESCRIPTION_TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "patches",
            "One patch of the recording (and animal, where asked).",
            (
                *columns("region", "subject", "n_neurons", "n_stimuli"),
                Column("n_repetitions", "responses that every neuron has to every stimulus", header="repetitions"),
                Column("mean_rate", "mean response of all neurons to all stimuli", "unit of the recording"),
                Column("index", "mirror-symmetry index of the neurons recorded, mean over identities", "correlation"),
                Column("corrected_index", "the index freed of the noise of few neurons, within -1 to 1", "correlation"),
                Column("index_ci_low", "lower end of its interval, within -1 to 1", "correlation"),
                Column("index_ci_high", "upper end of its interval, within -1 to 1", "correlation"),
                Column("verdict", f"one of {', '.join(VERDICTS)}"),
                *_share_columns(),
                Column("n_view_tuned", "neurons whose response depends on view (p < 0.05)"),
                Column("n_identity_tuned", "neurons whose response depends on identity (p < 0.05)"),
                Column("n_stimulus_tuned", "neurons whose trials depend on the stimulus (p < 0.05)"),
                Column(
                    "reliability", "expected correlation of the RDM with that of as many new neurons", "correlation"
                ),
                Column("reliability_ci_low", "lower end of its interval (Fisher's z)", "correlation"),
                Column("reliability_ci_high", "upper end of its interval", "correlation"),
                Column("more_neurons", "neurons beyond these for the target (Spearman-Brown)"),
                Column(
                    "trial_reliability",
                    "expected correlation of the RDM with that of as many new trials",
                    "correlation",
                ),
                Column("more_repetitions", "repetitions beyond these for the target (Spearman-Brown)"),
                Column("target", "reliability that is asked for", "correlation"),
                *columns("simulated"),
            ),
        ),
        Table(
            "neurons",
            "One neuron.",
            (
                Column("neuroid_id", "name of the neuron"),
                *columns("region", "subject"),
                Column("mean_rate", "mean response to all stimuli", "unit of the recording"),
                Column("sd_rate", "standard deviation of its mean responses over stimuli", "unit of the recording"),
                Column("trial_reliability", "share of the variance of mean responses that is no trial noise", "share"),
                Column("p_stimulus", "p of a one-way analysis of variance of single responses over stimuli"),
                *(
                    Column(share, f"share of {what} in the variance of its signal", "share")
                    for share, what in _SHARES.items()
                ),
                Column("p_view", "p of the view, F test against the interaction of view and identity"),
                Column("p_identity", "p of the identity, F test against the interaction of view and identity"),
                Column("preferred_azimuth_deg", "view of the largest mean response", "degrees"),
                Column(
                    "mirror_correlation", "r of its mean tuning curve over views with the mirrored one", "correlation"
                ),
            ),
        ),
        Table(
            "growth",
            "Reliability of the RDM of one patch with fewer or more neurons or repetitions.",
            (
                *columns("region", "subject"),
                Column("over", "what there is more of: neurons or repetitions"),
                Column("n", "how many"),
                Column("measured", "mean correlation of RDMs of disjoint samples of this size", "correlation"),
                Column("predicted", "Spearman and Brown's formula, from all that was recorded", "correlation"),
            ),
        ),
    )
}
"""Tables of ``neurocompare describe`` with their columns."""


def draw_description(found: RecordingDescription) -> Figure:
    """One page of figures: index, tuning, reliability and its growth by patch, and single neurons.

    Parameters
    ----------
    found : RecordingDescription
        From ``describe_recording``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with style():
        figure = new_figure(10, 6)
        panels = figure.subplots(2, 3).ravel()
        for panel, draw in zip(
            panels, (_index, _shares, _reliability, _neurons, _over_neurons, _over_repetitions), strict=True
        ):
            draw(panel, found)
    return figure


def write_description(found: RecordingDescription, folder: Path, *, provenance: Mapping[str, Any]) -> Path:
    """Write ``tables/``, ``figures/`` and ``report.html``.

    Parameters
    ----------
    found : RecordingDescription
        From ``describe_recording``.
    folder : pathlib.Path
        Exists.
    provenance : mapping
        ``provenance.json`` of the folder.

    Returns
    -------
    pathlib.Path
        The report.
    """
    (folder / "tables").mkdir()
    (folder / "figures").mkdir()
    tables = {"patches": found.patches, "neurons": found.neurons, "growth": found.growth}
    for name, table in tables.items():
        write_table(ordered(table, DESCRIPTION_TABLES[name]), name, folder / "tables")
    save_figure(draw_description(found), "description", folder / "figures")
    shown = [
        PageTable(name, DESCRIPTION_TABLES[name].about, table, DESCRIPTION_TABLES[name].columns)
        for name, table in tables.items()
    ]
    caption = (
        "Mirror-symmetry index of each patch with its 95 % interval; shares of view and identity in the variance of "
        "the signal; reliability over neurons and trials; tuning of single neurons; growth of reliability with neurons "
        "and with repetitions (points: disjoint samples, lines: Spearman-Brown, dotted: the target)."
    )
    simulated = bool(found.patches["simulated"].any())
    page = Page(
        provenance=provenance,
        sentences=found.sentences(),
        warnings=[*(["The recording is simulated."] if simulated else []), *found.notes],
        methods=_METHODS,
        lead=shown[:1],
        sections=[
            PageSection("Description", figures=[PageFigure("description", caption)]),
            PageSection("Neurons and growth", tables=shown[1:]),
        ],
    )
    return write_page(page, folder)


_METHODS = (
    "RDMs are 1 - Pearson's r across neurons, mean responses over trials.",
    "The mirror-symmetry index (eLife 90256, equation 1) is computed on z-scored neurons and freed of the noise of few "
    "neurons by comparing the RDM of one half of the neurons with the mirrored RDM of the other; its interval adds "
    "jackknives over identities and over groups of neurons and is cut to -1 to 1.",
    "Shares of view and identity are variance components of a two-way analysis of variance of each neuron, pooled over "
    "neurons that weigh alike; without repetitions their interaction holds the trial noise too.",
    "Reliability is the mean correlation of RDMs of split halves, corrected after Spearman (1910) and Brown (1910).",
)


def _patch_names(found: RecordingDescription) -> list[str]:
    return list(found.verdicts)


def _colour(found: RecordingDescription, place: int) -> str:
    otherwise = _COLOURS[(place + 1) % len(_COLOURS)]
    return _REGION_COLOURS.get(str(found.patches["region"].iloc[place]), otherwise)


def _named(axes: Axes, found: RecordingDescription, title: str) -> None:
    axes.set_xticks(range(len(found.patches)), _patch_names(found))
    axes.set_xlim(-0.6, len(found.patches) - 0.4)
    axes.set_title(title)


def _empty(axes: Axes, title: str) -> None:
    axes.set_title(title)
    axes.set_axis_off()
    axes.text(0.5, 0.5, "not known", ha="center", va="center", transform=axes.transAxes)


def _index(axes: Axes, found: RecordingDescription) -> None:
    if found.patches["corrected_index"].isna().all():
        _empty(axes, "Mirror-symmetry index")
        return
    for place, row in enumerate(found.patches.to_dict("records")):
        ends = [row["index_ci_low"]], [row["index_ci_high"]]
        errorbar(axes, [place], [row["corrected_index"]], *ends, _colour(found, place))
    axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set_ylim(-1.05, 1.05)
    _named(axes, found, "Mirror-symmetry index")


def _shares(axes: Axes, found: RecordingDescription) -> None:
    if found.patches["view_share"].isna().all():
        _empty(axes, "Share of the signal's variance")
        return
    for number, (share, what) in enumerate(_SHARES.items()):
        places = np.arange(len(found.patches)) + 0.2 * (number - 1)
        values, low, high = (found.patches[f"{share}{end}"] for end in ("", "_ci_low", "_ci_high"))
        errorbar(axes, places, values, low, high, _COLOURS[number])
        axes.plot([], [], "o", color=_COLOURS[number], markerfacecolor="white", markersize=4, label=what)
    axes.set_ylim(-0.03, 1.03)
    axes.legend(fontsize=7)
    _named(axes, found, "Share of the signal's variance")


def _reliability(axes: Axes, found: RecordingDescription) -> None:
    for place, row in enumerate(found.patches.to_dict("records")):
        ends = [row["reliability_ci_low"]], [row["reliability_ci_high"]]
        errorbar(axes, [place - 0.1], [row["reliability"]], *ends, _colour(found, place))
        axes.plot([place + 0.1], [row["trial_reliability"]], "s", color=_colour(found, place), markersize=4)
    axes.axhline(found.patches["target"].iloc[0], color="0.6", linewidth=0.8, linestyle=":")
    axes.plot([], [], "o", color="0.3", markerfacecolor="white", markersize=4, label="over neurons")
    axes.plot([], [], "s", color="0.3", markersize=4, label="over trials")
    axes.set_ylim(min(0, axes.get_ylim()[0]), 1.05)
    axes.legend(fontsize=7)
    _named(axes, found, "Reliability of the RDM")


def _neurons(axes: Axes, found: RecordingDescription) -> None:
    by_view = found.neurons["mirror_correlation"].notna().any()
    x, y = ("view_share", "mirror_correlation") if by_view else ("mean_rate", "trial_reliability")
    if found.neurons[[x, y]].dropna().empty:
        _empty(axes, "Single neurons")
        return
    for place, row in enumerate(found.patches.to_dict("records")):
        own = (found.neurons["region"] == row["region"]) & (found.neurons["subject"] == row["subject"])
        axes.plot(
            found.neurons[x][own], found.neurons[y][own], ".", color=_colour(found, place), markersize=4, alpha=0.7
        )
    axes.set_xlabel("share of view" if by_view else "mean response")
    axes.set_ylabel("r with mirrored tuning curve" if by_view else "share that is no trial noise")
    axes.set_title("Single neurons")


def _growth_of(axes: Axes, found: RecordingDescription, over: str, title: str) -> None:
    rows = found.growth[found.growth["over"] == over]
    if rows.empty:
        _empty(axes, title)
        return
    for place, (name, row) in enumerate(zip(_patch_names(found), found.patches.to_dict("records"), strict=True)):
        own = rows[(rows["region"] == row["region"]) & (rows["subject"] == row["subject"])]
        axes.plot(own["n"], own["predicted"], color=_colour(found, place), linewidth=1, label=name)
        axes.plot(own["n"], own["measured"], "o", color=_colour(found, place), markerfacecolor="white", markersize=4)
    axes.axhline(found.patches["target"].iloc[0], color="0.6", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    sizes = sorted(set(rows["n"]))
    axes.set_xticks(sizes[:: max(1, len(sizes) // 6)], [f"{n}" for n in sizes[:: max(1, len(sizes) // 6)]])
    axes.minorticks_off()
    axes.set_ylim(min(0, axes.get_ylim()[0]), 1.05)
    axes.set_xlabel(over)
    axes.legend(fontsize=7)
    axes.set_title(title)


def _over_neurons(axes: Axes, found: RecordingDescription) -> None:
    _growth_of(axes, found, "neurons", "Reliability and neurons")


def _over_repetitions(axes: Axes, found: RecordingDescription) -> None:
    _growth_of(axes, found, "repetitions", "Reliability and repetitions")
