"""Measures of how mirror-symmetric view tuning comes about, as the tables of a study: kernels, units, features, place.

Each takes (network, stimuli, layers, settings) and gives tables by name; ``measures`` lists them. What is measured is
defined in ``representations``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd

from neural_data.stimuli import StimulusSet
from neurocompare.models.registry import Network
from neurocompare.representations.importance import BACKGROUND
from neurocompare.representations.local_features import measure_local_features
from neurocompare.representations.position import measure_position_tolerance
from neurocompare.representations.symmetry import kernel_symmetry
from neurocompare.representations.units import count_mirror_symmetric_units, summarise_unit_shares
from neurocompare.representations.viewpoint import summarise_values
from neurocompare.study.grammar import Study
from neurocompare.study.randomness import step_rng

__all__ = [
    "SUMMARIES",
    "kernels",
    "local_features",
    "masked_images",
    "position",
    "shifted_images",
    "summarise_measures",
    "units",
]

Tables = dict[str, pd.DataFrame]
NETWORK = ("model", "regime", "seed", "layer", "layer_index")


def kernels(network: Network, _stimuli: StimulusSet, _layers: Sequence[str], _settings: Study) -> Tables:
    """``kernels``: symmetry of every kernel of the network, whatever layers are looked at."""
    return {"kernels": kernel_symmetry(network)}


def units(network: Network, stimuli: StimulusSet, layers: Sequence[str], settings: Study) -> Tables:
    """``units``: shares of mirror-symmetrically tuned units, among all and among face-selective ones."""
    asked = settings.outputs.units
    table = count_mirror_symmetric_units(
        network,
        stimuli,
        layers,
        face=asked.face,
        azimuths_deg=asked.azimuths_deg,
        alpha=asked.alpha,
        threshold=asked.threshold,
    )
    return {"units": table}


def local_features(network: Network, stimuli: StimulusSet, _layers: Sequence[str], settings: Study) -> Tables:
    """View tuning of one layer with parts of the images kept, deleted or shuffled, and their ``importance``."""
    asked = settings.outputs.local_features
    found = measure_local_features(
        network,
        _first_exemplars(stimuli, asked.n_exemplars),
        asked.layer,
        n_units=asked.n_units,
        percents=asked.percents,
        conditions=asked.conditions,
        n_masks=asked.n_masks,
        n_maps=asked.n_maps,
        background=BACKGROUND if settings.stimuli.background is None else settings.stimuli.background,
        rng=step_rng(settings.seed, "local features"),
    )
    return {"local_features": found.tuning} | ({"importance": found.maps} if asked.n_maps else {})


def masked_images(settings: Study, n_stimuli: int) -> float:
    """Masked images that :func:`local_features` shows."""
    asked = settings.outputs.local_features
    share = min(1.0, asked.n_exemplars / settings.stimuli.n_identities)
    return n_stimuli * share * (asked.n_masks + 2 * len(asked.percents) * len(asked.conditions))


def position(network: Network, stimuli: StimulusSet, layers: Sequence[str], settings: Study) -> Tables:
    """``position``: mirror-symmetry index of every layer with the stimuli in place and shifted."""
    asked = settings.outputs.position
    table = measure_position_tolerance(
        network,
        stimuli,
        layers,
        shifts_px=asked.shifts_px,
        image_size_px=asked.image_size_px,
        normalize=None if asked.normalize == "none" else asked.normalize,
    )
    return {"position": table}


def shifted_images(settings: Study, n_stimuli: int) -> float:
    """Shifted images that :func:`position` shows."""
    return n_stimuli * len(settings.outputs.position.shifts_px)


def summarise_measures(tables: Mapping[str, pd.DataFrame]) -> Tables:
    """Summaries over channels, exemplars or seeds of the tables that are there, by name."""
    return {name: summarise(tables[source]) for name, (source, summarise) in SUMMARIES.items() if source in tables}


def _first_exemplars(stimuli: StimulusSet, n_exemplars: int) -> StimulusSet:
    """The first exemplars of each category, in the order of the set."""
    exemplars = stimuli.table[["category", "identity"]].drop_duplicates()
    return stimuli.select(identity=exemplars.groupby("category", sort=False).head(n_exemplars)["identity"].tolist())


SUMMARIES: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "kernels_summary": (
        "kernels",
        lambda table: summarise_values(table, (*NETWORK, "transform"), ["symmetry"]).drop(columns="measure"),
    ),
    "units_summary": ("units", summarise_unit_shares),
    "local_features_summary": (
        "local_features",
        lambda table: summarise_values(table, (*NETWORK, "condition", "percent"), ["index", "profile"]),
    ),
    "position_summary": (
        "position",
        lambda table: summarise_values(
            table, (*NETWORK, "category", "shift_right_px", "shift_down_px", "image_size_px"), ["index"]
        ).drop(columns="measure"),
    ),
}
"""Tables that sum up another one: the name of that one, and how. Drawn where they are."""
