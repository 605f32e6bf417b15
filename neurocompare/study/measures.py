"""Measures that a study may ask for: one entry each, under the measure's key in ``[outputs]``.

A new measure of networks is a function from (network, stimuli, layers, settings) to tables by name, and one of stimuli,
layers and patches together is a function from (stimuli, layer RDMs, patch RDMs, settings) to tables; either needs

- its entry in :data:`NETWORK_MEASURES` or in :data:`STUDY_MEASURES`, and its key in ``grammar.Outputs``;
- where its rows are to be summed up over networks, an entry in ``mechanisms.SUMMARIES``;
- the columns of its tables in ``reporting.tables.COLUMNS``;
- where it is to be seen, a drawing function and a caption in ``reporting.measure_figures.FIGURES``, under the name of
  the table, and a title in ``reporting.report.MEASURE_TABLES``.

Running, caching, joining over networks, writing and hypotheses follow from these.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pandas as pd
from rsatoolbox.rdm import RDMs

from neural_data.stimuli import StimulusSet
from neurocompare.models.registry import Network, load_model
from neurocompare.representations.equivariance import TRANSFORMS, correlate_transformed, summarise_equivariance
from neurocompare.representations.model_rdms import RdmRequest, compute_model_rdms, compute_rdm_requests
from neurocompare.representations.rdms import rdm_table
from neurocompare.representations.templates import idealised_mirror_index, template_contributions
from neurocompare.representations.viewpoint import mirror_symmetry_index
from neurocompare.stimuli.image_sets import noise_images, read_images
from neurocompare.stimuli.luminance import describe_images
from neurocompare.study import mechanisms
from neurocompare.study.grammar import Study
from neurocompare.study.randomness import step_rng

__all__ = [
    "NETWORK_MEASURES",
    "STUDY_MEASURES",
    "Measure",
    "images_to_show",
    "measure_dependencies",
    "measure_network",
    "measure_study",
]

Tables = dict[str, pd.DataFrame]
IMAGES_AT_ONCE = 64


def _equivariance(network: Network, stimuli: StimulusSet, layers: Sequence[str], settings: Study) -> Tables:
    measures = settings.outputs.equivariance.measures
    shown = [stimuli, *_other_images(settings, network.preprocessing.image_size)]
    rows, exemplars = [], []
    for images in shown:
        correlations = correlate_transformed(network, images, layers, measures=measures)
        rows.append(summarise_equivariance(correlations))
        about = images.table[["category", "identity"]]
        joined = correlations.join(about, on="stimulus_id")
        exemplars.append(summarise_equivariance(joined, by=["category", "identity"]))
    return {
        "equivariance": pd.concat(rows, ignore_index=True),
        "equivariance_exemplars": pd.concat(exemplars, ignore_index=True),
    }


def _other_images(settings: Study, size: int) -> list[StimulusSet]:
    """Photographs and noise that equivariance is also measured on, the same for every network of a study."""
    asked = settings.outputs.equivariance
    sets = []
    if asked.images is not None:
        sets.append(read_images(asked.images, n_images=asked.n_images, rng=step_rng(settings.seed, "photographs")))
    if asked.noise:
        sets.append(noise_images(asked.n_images, size, rng=step_rng(settings.seed, "noise images")))
    return sets


def _equivariance_images(settings: Study, n_stimuli: int) -> int:
    asked = settings.outputs.equivariance
    return (1 + len(TRANSFORMS)) * (n_stimuli + asked.n_images * ((asked.images is not None) + asked.noise))


def _photographs(settings: Study) -> list[str]:
    """Checksums of the photographs that are shown."""
    asked = settings.outputs.equivariance
    if asked.images is None:
        return []
    return [read_images(asked.images, n_images=asked.n_images, rng=step_rng(settings.seed, "photographs")).checksum()]


def _viewpoint_variants(network: Network, stimuli: StimulusSet, layers: Sequence[str], _settings: Study) -> Tables:
    """The index with and without z-scoring of units, and the measure of Yildirim et al. on the z-scored RDMs."""
    requests = {
        "zscore": RdmRequest(within="identity"),
        "raw": RdmRequest(within="identity", normalize=None),
    }
    rdms = compute_rdm_requests(network, stimuli, layers, requests)
    values = {
        "zscore": mirror_symmetry_index(rdms["zscore"]),
        "raw": mirror_symmetry_index(rdms["raw"]),
        "idealised": idealised_mirror_index(rdms["zscore"]),
    }
    names = ["model", "regime", "seed", "layer", "layer_index", "category", "identity"]
    exemplars = rdm_table(rdms["zscore"])[names]
    rows = [exemplars.assign(variant=variant, index=index) for variant, index in values.items()]
    return {"viewpoint_variants": pd.concat(rows, ignore_index=True)}


def _templates(stimuli: StimulusSet, layer_rdms: RDMs, patch_rdms: RDMs, settings: Study) -> Tables:
    """Idealised templates in the RDMs of layers and patches, the RDM of the images themselves beside them."""
    pixels = compute_model_rdms(
        load_model("pixels"), stimuli, dissimilarity=settings.comparison.dissimilarity, normalize=None
    )
    networks = ["model", "regime", "seed", "layer", "layer_index"]
    patches = [name for name in ("region", "subject", "simulated") if name in rdm_table(patch_rdms)]
    found = ["template", "weight", "unique", "r2"]
    return {
        "templates": template_contributions(layer_rdms, pixels)[[*networks, *found]],
        "templates_patches": template_contributions(patch_rdms, pixels)[[*patches, *found]],
    }


def _image_symmetry(stimuli: StimulusSet, _layer_rdms: RDMs, _patch_rdms: RDMs, settings: Study) -> Tables:
    """Best plane of mirror symmetry of every image."""
    images = itertools.chain.from_iterable(stimuli.batches(IMAGES_AT_ONCE, settings.stimuli.size))
    found = describe_images(images, stimuli.ids)[["image_symmetry", "symmetry_position"]]
    about = stimuli.table[["category", "identity", "azimuth_deg"]]
    return {"image_symmetry": about.join(found).rename_axis("stimulus_id").reset_index()}


class Measure(NamedTuple):
    """One optional measure of a network.

    Parameters
    ----------
    tables : callable
        ``tables(network, stimuli, layers, settings)`` gives tables by name, the same names for every network; the
        columns ``model, regime, seed`` say whose rows they are. Random numbers come from
        ``step_rng(settings.seed, NAME)``.
    n_images : callable
        ``n_images(settings, n_stimuli)``: how many images it shows to the network, to foretell how long it takes.
    depends : callable or None
        ``depends(settings)``: what it depends on beyond the stimuli, the network and the settings, such as checksums
        of files that the settings name, as JSON holds it. Called before any work starts: the place to refuse them.
    """

    tables: Callable[[Network, StimulusSet, Sequence[str], Study], Tables]
    n_images: Callable[[Study, int], float]
    depends: Callable[[Study], Any] | None = None


NETWORK_MEASURES: dict[str, Measure] = {
    "equivariance": Measure(_equivariance, _equivariance_images, _photographs),
    "kernels": Measure(mechanisms.kernels, lambda _settings, _n_stimuli: 1),
    "units": Measure(mechanisms.units, lambda _settings, n_stimuli: 4 * n_stimuli),
    "local_features": Measure(mechanisms.local_features, mechanisms.masked_images),
    "position": Measure(mechanisms.position, mechanisms.shifted_images),
    "viewpoint_variants": Measure(_viewpoint_variants, lambda _settings, n_stimuli: n_stimuli),
}
"""Every optional measure of a network, by its key in ``[outputs]``."""
STUDY_MEASURES: dict[str, Callable[[StimulusSet, RDMs, RDMs, Study], Tables]] = {
    "templates": _templates,
    "image_symmetry": _image_symmetry,
}
"""Every optional measure of stimuli, layers and patches together, by its key in ``[outputs]``; the RDMs are those of
the fits."""


def measure_network(network: Network, stimuli: StimulusSet, layers: Sequence[str], settings: Study) -> Tables:
    """Tables of all measures that a study asks for.

    Parameters
    ----------
    network : Network
    stimuli : StimulusSet
    layers : sequence of str
        Names of the layers that are looked at.
    settings : Study

    Returns
    -------
    dict of str to pandas.DataFrame
    """
    tables: Tables = {}
    for measure in _asked(settings).values():
        tables |= measure.tables(network, stimuli, layers, settings)
    return tables


def measure_study(stimuli: StimulusSet, layer_rdms: RDMs, patch_rdms: RDMs, settings: Study) -> Tables:
    """Tables of the measures of stimuli, layers and patches that a study asks for.

    Parameters
    ----------
    stimuli : StimulusSet
    layer_rdms, patch_rdms : rsatoolbox.rdm.RDMs
        Those of the fits.
    settings : Study

    Returns
    -------
    dict of str to pandas.DataFrame
    """
    tables: Tables = {}
    for name, measure in STUDY_MEASURES.items():
        if getattr(settings.outputs, name):
            tables |= measure(stimuli, layer_rdms, patch_rdms, settings)
    return tables


def images_to_show(settings: Study, n_stimuli: int) -> float:
    """How many images the measures of a study show to each network, see :class:`Measure`."""
    return sum(measure.n_images(settings, n_stimuli) for measure in _asked(settings).values())


def measure_dependencies(settings: Study) -> dict[str, Any]:
    """What the tables of :func:`measure_network` depend on beyond network and stimuli; {} where nothing is asked.

    Raises
    ------
    InputError
        If something that the settings of a measure name does not exist.
    """
    return {
        name: {
            "settings": settings.outputs.model_dump(mode="json")[name],
            "seed": settings.seed,
            "depends": measure.depends(settings) if measure.depends else None,
        }
        for name, measure in _asked(settings).items()
    }


def _asked(settings: Study) -> dict[str, Measure]:
    return {name: measure for name, measure in NETWORK_MEASURES.items() if getattr(settings.outputs, name)}
