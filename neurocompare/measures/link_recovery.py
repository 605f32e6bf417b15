"""Simulated neurons made from each layer of a network: which measures find that layer."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field, field_validator
from statsmodels.stats.proportion import proportion_confint

from neural_data.stimuli import StimulusSet
from neurocompare.comparison.link_simulation import RECOVERY_COLUMNS, SIMULATED_LINKS, Simulation, recover_layers
from neurocompare.comparison.links import LINKS
from neurocompare.measures.columns import columns
from neurocompare.measures.comparison import without_repeats
from neurocompare.measures.declaration import Measure, Measured, ReportTable, Summary
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.settings import MemberOf, Quick, Section, none_as_none
from neurocompare.models.registry import Network
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.rdms import NETWORK
from neurocompare.representations.sampled_units import choose_units, sampled_units

__all__ = ["LINK_RECOVERY", "LinkRecovery"]

SUMMARY_COLUMNS = (*NETWORK, "simulated_link", "link", "found", "found_low", "found_high", "depth_error", "n")


class LinkRecovery(Section):
    """``[outputs.link_recovery]``: simulated neurons made from each layer; which measures find that layer."""

    kinds: list[Annotated[str, MemberOf(SIMULATED_LINKS)]] = Field(
        list(SIMULATED_LINKS), min_length=1, description="how neurons follow from units"
    )
    links: list[Annotated[str, MemberOf(LINKS)]] = Field(
        list(LINKS), min_length=1, description="ways to compare layers and patches"
    )
    n_layers: Annotated[int, Quick(3)] = Field(
        8, ge=2, description="layers, evenly spaced from the first to the last, that are compared and made neurons of"
    )
    n_units: Annotated[int, Quick(100)] = Field(400, ge=10, description="random units of each layer")
    n_neurons: Annotated[int, Quick(20)] = Field(60, ge=4, description="neurons of a simulated patch")
    n_repetitions: int = Field(4, ge=2, description="of each stimulus")
    noise: float = Field(
        2.0, ge=0, description="standard deviation of one trial over that of a neuron's mean responses"
    )
    n_experiments: Annotated[int, Quick(1)] = Field(5, ge=1, description="experiments of each kind and layer")
    normalize: str = Field("zscore", pattern="^(none|zscore)$", description="of the units that are compared")

    @field_validator("kinds", "links")
    @classmethod
    def _names_are_distinct(cls, names: list[str]) -> list[str]:
        return without_repeats(names)


def measure(
    *, settings: LinkRecovery, network: Network, layers: tuple[str, ...], stimuli: StimulusSet, seed: int
) -> Measured:
    """Shares of experiments in which each measure finds the generating layer."""
    labels = {"model": network.name, "regime": network.regime, "seed": network.seed}
    if len(layers) < 2:
        note = f"{network.name}: simulated links need at least two layers; it has {len(layers)}"
        return Measured({"link_recovery": pd.DataFrame(columns=[*labels, *RECOVERY_COLUMNS])}, (note,))
    rng = step_rng(seed, f"link recovery {' '.join(map(str, labels.values()))}")
    places = np.unique(np.linspace(0, len(layers) - 1, min(settings.n_layers, len(layers))).round().astype(int))
    chosen = choose_units(network, [layers[place] for place in places], settings.n_units, rng=rng)
    features = sampled_units(network, stimuli, chosen)
    found = recover_layers(
        features,
        stimuli.table,
        Simulation(
            n_neurons=settings.n_neurons,
            n_repetitions=settings.n_repetitions,
            noise=settings.noise,
            n_experiments=settings.n_experiments,
        ),
        kinds=settings.kinds,
        links=settings.links,
        normalize=none_as_none(settings.normalize),
        rng=rng,
    )
    return Measured({"link_recovery": found.assign(**labels)[[*labels, *RECOVERY_COLUMNS]]})


def _summarise(recovery: pd.DataFrame) -> pd.DataFrame:
    rows = []
    by = [*NETWORK, "simulated_link", "link"]
    for labels, group in recovery.groupby(by, sort=False, dropna=False):
        n = int(group["n"].sum())
        n_found = int((group["found"] * group["n"]).sum().round())
        low, high = proportion_confint(n_found, n, method="wilson")
        rows.append(
            dict(zip(by, labels, strict=True))
            | {"found": n_found / n, "found_low": low, "found_high": high}
            | {"depth_error": float(np.average(group["depth_error"], weights=group["n"])), "n": n}
        )
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


LINK_RECOVERY = Measure(
    key="link_recovery",
    title="Simulated links",
    about="simulated neurons made from each layer by linear, monotone and permuted links, and which measures find it",
    settings=LinkRecovery,
    compute=measure,
    work=lambda settings, n_stimuli: n_stimuli * len(settings.kinds) * settings.n_layers**2 * settings.n_experiments,
    seconds=1e-3,
    tables=(
        Table(
            "link_recovery",
            "How often one measure finds the layer that simulated neurons were made from.",
            columns(
                *NETWORK,
                *(
                    Column("layer_index", "position among the layers compared") if name == "layer_index" else name
                    for name in RECOVERY_COLUMNS
                ),
            ),
        ),
    ),
    summaries=(
        Summary(
            Table(
                "link_recovery_summary",
                "The same over all generating layers of a network.",
                columns(*SUMMARY_COLUMNS),
            ),
            "link_recovery",
            _summarise,
        ),
    ),
    shown=(
        ReportTable(
            "link_recovery_summary",
            "Simulated neurons: "
            + "; ".join(f"{name}: {link.label}" for name, link in SIMULATED_LINKS.items())
            + ". Share of experiments in which the most similar layer is the one that they were made from.",
        ),
    ),
)
