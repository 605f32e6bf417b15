"""Steps of a study that trains networks: reading images, training, looking at the course of it, contrasting regimes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors.torch
from rsatoolbox.rdm import RDMs

from neural_data.stimuli import StimulusSet
from neurocompare.comparison.fits import compare_rdms
from neurocompare.comparison.regime_contrasts import ContrastPlan, contrast_regimes
from neurocompare.models.datasets import LabelledImages, Splits, apply_regime, read_dataset, split_dataset
from neurocompare.models.training import train_network
from neurocompare.representations.model_rdms import RdmRequest, compute_rdm_requests
from neurocompare.representations.rdms import rdm_table
from neurocompare.representations.viewpoint import mirror_symmetry_index
from neurocompare.study.grammar import Model, Study, Training
from neurocompare.study.networks import NetworkRecord, loaded, with_weights
from neurocompare.study.randomness import step_rng
from neurocompare.study.recipes import recipe_of

__all__ = ["contrast_tables", "follow", "read_images_to_train_on", "train"]

KEYS = ("model", "regime", "seed", "layer", "layer_index", "region", "subject", "category", "identity")
COMPONENTS = ("shapley_invariant", "shapley_sensitive")


def read_images_to_train_on(training: Training, size: int, *, n_jobs: int = 1) -> dict[str, Any]:
    """Images of a data set as arrays that the cache can hold: ``train``, and ``test`` or None."""
    options = {"size": size, "seed": training.data_seed}
    train, test = read_dataset(training.dataset, n_images=training.n_images, n_jobs=n_jobs, **options)
    if training.test is not None:
        test = read_dataset(training.test, **options)[0]
    return {"train": _plain(train), "test": None if test is None else _plain(test)}


def train(model: Model, seed: int, images: Mapping[str, Any], folder: Path | None, device: str) -> dict[str, Any]:
    """Train one network of a study.

    Parameters
    ----------
    model : Model
        With ``training``.
    seed : int
    images : mapping
        From :func:`read_images_to_train_on`.
    folder : pathlib.Path or None
        Where the state of a training that is stopped is found again.
    device : str

    Returns
    -------
    dict
        ``weights``: safetensors, as bytes. ``curve``: the learning curve. ``kept``: bytes by epoch.
    """
    training = model.training
    train, test = (None if images[part] is None else LabelledImages(**images[part]) for part in ("train", "test"))
    splits = split_dataset(train, test, seed=training.data_seed)
    parts = [apply_regime(part, training.regime, seed=training.data_seed) for part in vars(splits).values()]
    made = train_network(
        model.name,
        Splits(*parts),
        recipe_of(training),
        seed=seed,
        device=device,
        folder=folder,
        keep_epochs=training.keep_epochs,
    )
    kept = {str(epoch): safetensors.torch.save(state) for epoch, state in made.kept.items()}
    return {"weights": safetensors.torch.save(made.state), "curve": made.curve, "kept": kept}


def follow(
    record: NetworkRecord,
    kept: Mapping[str, bytes],
    stimuli: StimulusSet,
    patch_rdms: RDMs,
    settings: Study,
) -> pd.DataFrame:
    """Mirror-symmetry index and fits of a network at the epochs that were kept, as ``tables/trajectories.csv``."""
    comparison = settings.comparison
    requests = {
        "fits": RdmRequest(comparison.dissimilarity, None if comparison.normalize == "none" else comparison.normalize),
        "views": RdmRequest(within="identity"),
    }
    tables = []
    for epoch, weights in kept.items():
        network = loaded(with_weights(record, weights))
        rdms = compute_rdm_requests(network, stimuli, list(record.layers), requests)
        names = ["layer", "layer_index"]
        index = rdm_table(rdms["views"])[names].assign(value=mirror_symmetry_index(rdms["views"]))
        tables.append(index.groupby(names, sort=False, as_index=False).mean().assign(measure="index", epoch=int(epoch)))
        fits = compare_rdms(rdms["fits"], patch_rdms, method=comparison.method)
        about = rdm_table(rdms["fits"])[names]
        patches = rdm_table(patch_rdms)
        for number in range(fits.shape[1]):
            patch = {name: patches[name].iloc[number] for name in ("region", "subject") if name in patches}
            tables.append(about.assign(value=fits[:, number], measure="fit", epoch=int(epoch), **patch))
    found = pd.concat(tables, ignore_index=True)
    return found.assign(model=record.model.name, regime=record.regime, seed=record.seed)


def contrast_tables(tables: Mapping[str, pd.DataFrame], settings: Study) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Contrasts of the study's regimes in every quantity that was measured, and notes on them.

    Returns
    -------
    tables : dict of str to pandas.DataFrame
        ``regime_contrasts`` and ``regime_interactions``.
    notes : list of str
    """
    asked = settings.outputs.regime_contrasts
    pairs = None if asked.pairs is None else [tuple(pair) for pair in asked.pairs]
    plan = ContrastPlan(method=asked.method, correction=asked.correction)
    fits = tables["fits"]
    quantities = [("index", "index", tables["viewpoint"]), ("fit", "fit", fits)]
    quantities += [(name, name, fits) for name in COMPONENTS if name in fits and fits[name].notna().any()]
    if "equivariance" in tables:
        for (measure, transform, image_set), part in tables["equivariance"].groupby(
            ["measure", "transform", "image_set"], sort=False
        ):
            quantities.append((f"{measure} {transform}, {image_set}", "mean", part))
    found, notes = [], []
    for measure, value, table in quantities:
        shown = (
            table if pairs is None else table[table["regime"].isin(sorted({name for pair in pairs for name in pair}))]
        )
        columns = [
            "model",
            "regime",
            "seed",
            "layer",
            "layer_index",
            "region",
            "subject",
            "category",
            "identity",
            value,
        ]
        kept = [name for name in columns if name in shown and (name == value or shown[name].notna().any())]
        result = contrast_regimes(
            shown[kept],
            value=value,
            measure=measure,
            pairs=pairs,
            plan=plan,
            rng=step_rng(settings.seed, f"contrasts of {measure}"),
        )
        found.append(result)
        notes += [f"{measure}: {note}" for note in result.notes]
    return {
        "regime_contrasts": pd.concat([result.contrasts for result in found], ignore_index=True),
        "regime_interactions": pd.concat([result.interactions for result in found], ignore_index=True),
    }, notes


def _plain(data: LabelledImages) -> dict[str, Any]:
    return {
        "images": data.images,
        "labels": data.labels,
        "classes": data.classes,
        "name": data.name,
        "exemplars": data.exemplars,
    }
