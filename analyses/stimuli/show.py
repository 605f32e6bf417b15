"""Checks of the rendered stimuli: shapes, symmetry, luminance, rendering time, and comparison with real faces.

Run as ``python analyses/stimuli/show.py --out FOLDER [--faces CSV] [--timing]``. Every table is printed and written as
CSV, every figure as PNG. Expected: images are symmetric at 0 degrees in every bilateral category, at 0 and +-90 degrees
in cars and boats, about equally in every view of fruits and flowers, and in no view of chiral objects.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from neural_data import StimulusSet, read_stimuli
from neurocompare import compute_model_rdms, load_model
from neurocompare.representations.viewpoint import mirror_symmetry_index
from neurocompare.stimuli import GrayBackground, contact_sheet, describe_images, face_views, training_set
from neurocompare.stimuli.chiral import N_CLASSES, N_MEASURES, chirality, twins
from neurocompare.stimuli.luminance import foreground_statistics, match_luminance
from neurocompare.stimuli.scene import Scene, render_views
from neurocompare.stimuli.sets import (
    FACE_VIEWS_DEG,
    FOREGROUND_MEAN,
    FOREGROUND_SD,
    VIEWS_DEG,
    ExemplarViews,
    SetPlan,
    TrainingImages,
    plan_set,
    render_plan,
    render_unmatched,
)
from neurocompare.stimuli.shapes import CHIRAL, SYMMETRIC_TWINS, draw_exemplars, family

SEED = 20240607
SIZE = 64
N_TRAINING = 1000
N_CHIRALITY = 4
FACE_SIZE = 96
BINS_DEG = (0, 15, 30, 60, 90)
INK, ACCENT, FAINT = "#222222", "#b5542b", "#b8b8b8"


def render_objects() -> tuple[StimulusSet, pd.DataFrame]:
    """Images of the nine categories, and mean and deviation of every foreground before and after matching."""
    plan = plan_set("objects", size=SIZE, seed=0)
    pixels, before, after = [], [], []
    for _, rendering in render_unmatched(plan):
        matched = match_luminance(rendering, mean=FOREGROUND_MEAN, sd=FOREGROUND_SD)
        pixels.append(matched)
        before.append(foreground_statistics(rendering.on_background(), rendering.foreground))
        after.append(foreground_statistics(matched, rendering.foreground))
    table = plan.table()
    levels = np.concatenate([np.concatenate(before), np.concatenate(after)], axis=1)
    columns = ["mean_before", "sd_before", "mean_after", "sd_after"]
    luminance = pd.DataFrame(levels, index=table.index, columns=columns).assign(category=table["category"])
    return StimulusSet(table, pixels=np.concatenate(pixels), name=plan.name), luminance


def render_twins() -> StimulusSet:
    """One exemplar of every class: the symmetric object, and below it its chiral twin."""
    views = np.array(VIEWS_DEG)
    still = (views, 0 * views, np.zeros((len(views), 2)), np.ones(len(views)))
    exemplars = []
    for symmetric, chiral in zip(SYMMETRIC_TWINS, CHIRAL, strict=True):
        measures = draw_exemplars(symmetric, 1, rng=np.random.default_rng(SEED))[0]
        exemplars += [ExemplarViews(one.category, one.category, measures, *still) for one in (symmetric, chiral)]
    plan = SetPlan("twins", tuple(exemplars), SIZE)
    pixels = np.concatenate([images for _, images in render_plan(plan)])
    return StimulusSet(plan.table(), pixels=pixels, name=plan.name)


def save_sheet(stimuli: StimulusSet, path: Path, rows: int, columns: int) -> None:
    """Save a contact sheet in 64 gray levels, to keep the file small."""
    sheet = contact_sheet(stimuli, thumbnail=56, rows_per_category=rows, columns=columns)
    sheet.convert("L").quantize(64).save(path, optimize=True)


def category_symmetry(objects: StimulusSet) -> pd.DataFrame:
    """Mean image symmetry by category and azimuth."""
    described = describe_images(objects.pixels, objects.ids).join(objects.table[["category", "azimuth_deg"]])
    return described.pivot_table(index="category", columns="azimuth_deg", values="image_symmetry", sort=False)


def twin_symmetry() -> pd.DataFrame:
    """Mean image symmetry of both training sets by |azimuth| in degrees."""
    rows = {}
    for kind in ("symmetric", "chiral"):
        stimuli = training_set(kind, N_TRAINING, size=SIZE, n_exemplars=4)
        described = describe_images(stimuli.pixels, stimuli.ids)
        bins = pd.cut(stimuli.table["azimuth_deg"].abs(), BINS_DEG, include_lowest=True)
        rows[kind] = described.groupby(bins, observed=True)["image_symmetry"].mean()
    table = pd.DataFrame(rows).T.rename_axis("objects")
    table.columns = [f"{low} to {high}" for low, high in itertools.pairwise(BINS_DEG)]
    return table


def least_chirality() -> pd.DataFrame:
    """Chirality of some exemplars of every class and of their symmetric twins."""
    rows = []
    for k in range(N_CLASSES):
        exemplars = [twins(k, np.random.default_rng([SEED, k, e]).random(N_MEASURES)) for e in range(N_CHIRALITY)]
        values = np.array([[chirality(shape) for shape in pair] for pair in exemplars])
        rows.append((k, values[:, 0].max(), values[:, 1].min(), np.median(values[:, 1])))
    return pd.DataFrame(rows, columns=["class", "largest_symmetric", "least_chiral", "median_chiral"])


def timing() -> pd.DataFrame:
    """Processor time in seconds of every part of rendering the two sets, in this process."""
    plans = {
        "objects": plan_set("objects", size=224, seed=0),
        "training": plan_set("training", training=TrainingImages("chiral"), size=32, seed=0),
    }
    return pd.DataFrame([_timed(name, plan) for name, plan in plans.items()]).set_index("set")


def _timed(name: str, plan: SetPlan) -> dict[str, float | str]:
    seconds = {"geometry": 0.0, "tree and ambient light": 0.0, "views": 0.0, "matching": 0.0}
    for one in plan.exemplars:
        detail = float(np.clip(plan.size / 224, 0.35, 2.0))
        shape, geometry = _cpu(family(one.category).build, one.measures, detail)
        elevations = {0.0, one.elevations_deg.min(), one.elevations_deg.max()}
        _, light = _cpu(Scene, shape, elevations_deg=elevations)
        rendering, rendered = _cpu(
            render_views,
            shape,
            one.azimuths_deg,
            one.elevations_deg,
            size=plan.size,
            offsets=one.offsets,
            scales=one.scales,
        )
        _, matched = _cpu(match_luminance, rendering, mean=FOREGROUND_MEAN, sd=FOREGROUND_SD)
        # render_views makes the scene once more; what it takes beyond that are the views.
        for part, spent in zip(seconds, (geometry, light, rendered - light, matched), strict=True):
            seconds[part] += spent
    n_images = sum(len(one.azimuths_deg) for one in plan.exemplars)
    return {"set": name, "size": plan.size, "images": n_images, **seconds, "all": sum(seconds.values())}


def _cpu(call: Callable, *arguments, **options) -> tuple[object, float]:
    start = time.process_time()
    result = call(*arguments, **options)
    return result, time.process_time() - start


def view_rdms(stimuli: StimulusSet) -> dict[str, np.ndarray]:
    """View RDMs of pixels and of ``gabor-c1``, each of shape (n_identities, n_views, n_views), 1 - r."""
    images = stimuli.images(FACE_SIZE)
    flat = images.mean(axis=1).reshape(len(stimuli.identities), len(FACE_VIEWS_DEG), -1)
    pixels = np.rint(255 * images).astype(np.uint8).transpose(0, 2, 3, 1)
    small = dataclasses.replace(stimuli, files=None, pixels=pixels, transforms=())
    gabor = compute_model_rdms(load_model("gabor-c1"), small, within="identity", normalize=None)
    return {"pixels": np.stack([1 - np.corrcoef(views) for views in flat]), "gabor-c1": gabor.get_matrices()}


def compare_faces(csv: Path, out: Path) -> pd.DataFrame:
    """Draw and save mean view RDMs of rendered and real faces; give the mean index of each."""
    real = read_stimuli(csv).yaw_views(FACE_VIEWS_DEG).with_transform(GrayBackground())
    found = {"rendered": view_rdms(face_views(size=FACE_SIZE)), "real": view_rdms(real)}
    rows, lines = [], []
    figure, axes = plt.subplots(2, 2, figsize=(7.4, 6.4), constrained_layout=True)
    for row, layer in zip(axes, ("pixels", "gabor-c1"), strict=True):
        means = {name: rdms[layer].mean(axis=0) for name, rdms in found.items()}
        largest = max(mean.max() for mean in means.values())
        for axis, (name, mean) in zip(row, means.items(), strict=True):
            index = np.asarray(mirror_symmetry_index(found[name][layer]))
            rows.append((layer, name, len(index), index.mean(), index.std(ddof=1)))
            _draw_rdm(axis, mean, largest, f"{name} faces, {layer}: index {index.mean():.2f}")
            for azimuth, values in zip(FACE_VIEWS_DEG, mean, strict=True):
                lines.append((layer, name, azimuth, *values))
    figure.suptitle("Mean view RDMs of an identity", color=INK)
    figure.savefig(out / "view_rdms.png", dpi=90)
    columns = ["features", "faces", "azimuth_deg", *(f"{a:g}" for a in FACE_VIEWS_DEG)]
    _report(pd.DataFrame(lines, columns=columns), out / "view_rdms.csv", "mean view RDMs, 1 - r")
    return pd.DataFrame(rows, columns=["features", "faces", "identities", "mean_index", "sd_index"])


def _draw_rdm(axis: Axes, matrix: np.ndarray, largest: float, title: str) -> None:
    image = axis.imshow(matrix, cmap="viridis", vmin=0, vmax=largest)
    places, names = np.arange(len(FACE_VIEWS_DEG)), [f"{a:g}" for a in FACE_VIEWS_DEG]
    axis.set_xticks(places, names)
    axis.set_yticks(places, names)
    axis.set_title(title, fontsize=10, color=INK)
    axis.figure.colorbar(image, ax=axis, label="1 - r", shrink=0.8)


def draw_symmetry(categories: pd.DataFrame, both: pd.DataFrame) -> plt.Figure:
    """Image symmetry by azimuth, one panel per category and one for the two training sets."""
    figure, axes = plt.subplots(2, 5, figsize=(12, 5), sharey=True, constrained_layout=True)
    for axis, (category, values) in zip(axes.flat, categories.iterrows(), strict=False):
        axis.plot(values.index, values, marker="o", color=ACCENT)
        axis.set(title=category, xticks=[-90, 0, 90], ylim=(0, 1.05))
    for kind, color in (("symmetric", ACCENT), ("chiral", INK)):
        axes.flat[-1].plot(both.columns, both.loc[kind], marker="o", color=color, label=kind)
    axes.flat[-1].set_title("training, by |azimuth|")
    axes.flat[-1].tick_params(axis="x", labelsize=7)
    axes.flat[-1].legend(frameon=False)
    figure.supxlabel("azimuth (degrees)")
    figure.supylabel("image symmetry (r)")
    return figure


def draw_luminance(luminance: pd.DataFrame) -> plt.Figure:
    """Histograms of the mean and deviation of the foregrounds, before and after matching."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    for axis, what, wanted in zip(axes, ("mean", "sd"), (FOREGROUND_MEAN, FOREGROUND_SD), strict=True):
        bins = np.linspace(0, luminance[f"{what}_before"].max() * 1.05, 60)
        axis.hist(luminance[f"{what}_before"], bins, color=FAINT, label="before")
        axis.hist(luminance[f"{what}_after"], bins, histtype="step", color=ACCENT, linewidth=2, label="after")
        axis.axvline(wanted, color=INK, linewidth=0.6)
        axis.set(xlabel=f"foreground {what} (gray level)", ylabel="images", yscale="log")
    axes[0].legend(frameon=False)
    return figure


def summarize_luminance(luminance: pd.DataFrame) -> pd.DataFrame:
    """Smallest, mean and largest foreground levels by category, before and after matching."""
    return luminance.groupby("category", sort=False).agg(["min", "mean", "max"])


def _report(table: pd.DataFrame, path: Path, title: str, *, index: bool = False) -> None:
    """Print a table and write it as CSV."""
    print(title)
    print(table.round(3).to_string(index=index), end="\n\n", flush=True)
    table.round(4).to_csv(path, index=index, lineterminator="\n")


def _save(figure: plt.Figure, path: Path) -> None:
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Render, describe, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("stimuli"))
    parser.add_argument("--faces", type=Path, help="CSV of a set of real faces in the same five views")
    parser.add_argument("--timing", action="store_true", help="measure CPU time as well (a few minutes)")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    objects, luminance = render_objects()
    save_sheet(objects, out / "categories.png", rows=2, columns=9)
    save_sheet(objects.select(category="face").yaw_views(FACE_VIEWS_DEG), out / "faces.png", rows=25, columns=5)
    save_sheet(render_twins(), out / "twins.png", rows=1, columns=9)
    categories, both = category_symmetry(objects), twin_symmetry()
    _report(categories, out / "symmetry.csv", "image symmetry by category and azimuth", index=True)
    _report(both, out / "twin_symmetry.csv", "image symmetry of training sets by |azimuth|, degrees", index=True)
    _save(draw_symmetry(categories, both), out / "symmetry.png")
    _report(least_chirality(), out / "chirality.csv", "chirality, 1 - r")
    levels = summarize_luminance(luminance)
    levels.columns = ["_".join(column) for column in levels.columns]
    _report(levels, out / "luminance.csv", "foregrounds, gray level 0 to 1", index=True)
    _save(draw_luminance(luminance), out / "luminance.png")
    if arguments.faces is not None:
        _report(compare_faces(arguments.faces, out), out / "view_index.csv", "mirror-symmetry index")
    if arguments.timing:
        _report(timing(), out / "timing.csv", "CPU seconds, one process", index=True)


if __name__ == "__main__":
    main()
