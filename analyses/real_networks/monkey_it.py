"""Fits of networks trained by others to IT cortex: all 92 objects, subsets of them, and with categories controlled.

``python analyses/real_networks/monkey_it.py RUN DATA [--out FOLDER]``: RUN is a run of ``analyses/monkey_it.toml``,
whose RDMs are used; DATA holds the files named in it (``stimulus_set.csv`` and the authors' RDMs). Writes
``monkey_it.csv`` (fits), ``monkey_it_best.csv`` (the confidence set for the best layer of each network) and
``monkey_it_claims.csv``, and prints them.

The jackknife leaves out single stimuli or, for new categories, all images of one category together.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs, load_rdm
from scipy import stats

from neural_data import StimulusSet, read_stimuli
from neurocompare import infer_fits, read_rdms
from neurocompare.comparison.ceilings import ceilings_of_rdms
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.multiplicity import adjust

HERE = Path(__file__).parent
METHOD = "spearman"
CATEGORIES = "category"


def patches(data: Path, stimuli: StimulusSet) -> RDMs:
    """RDMs of monkey and human IT, averaged over subjects by the authors."""
    file = data / "Kriegeskorte_Neuron2008_supplementalData.mat"
    return read_rdms(file, variable="RDMs_mIT_hIT_fig1", stimuli=stimuli, kind="recording")


def humans(data: Path, stimuli: StimulusSet) -> RDMs:
    """RDMs of the four human subjects, sessions averaged."""
    return read_rdms(
        data / "92_brainRDMs.mat",
        stimuli=stimuli,
        kind="recording",
        name_pattern="{region} | {subject} | Session: {session}",
        average="session",
    )


def part(rdms: RDMs, stimuli: StimulusSet) -> RDMs:
    """The RDMs restricted to the given stimuli."""
    return rdms.subset_pattern("stimulus_id", list(stimuli.table.index))


def by_category(rdms: RDMs, stimuli: StimulusSet, role: str) -> RDMs:
    """The RDMs with the category of each stimulus in place of its identity or of its view.

    With categories as identities, the jackknife leaves out whole categories. With categories as views, the mean of each
    pair of categories is partialled out.
    """
    names = stimuli.table.loc[list(rdms.pattern_descriptors["stimulus_id"]), CATEGORIES]
    values = names if role == "identity" else pd.Categorical(names).codes.astype(float)
    changed = rdms.copy()
    changed.pattern_descriptors[role] = list(values)
    if role == "azimuth_deg":
        changed.pattern_descriptors["identity"] = list(rdms.pattern_descriptors["stimulus_id"])
    return changed


def fits(models: RDMs, regions: RDMs, stimuli: StimulusSet) -> dict[str, FitResult]:
    """Fits over all images and subsets, with categories partialled out, and with a jackknife over categories."""
    about = stimuli.table
    parts = {"all 92": stimuli, "faces": stimuli.take(np.flatnonzero(about["face"] == 1))}
    parts["animates"] = stimuli.take(np.flatnonzero(about["animal"] == 1))
    results = {}
    for name, chosen in parts.items():
        results[name] = _fits(part(models, chosen), part(regions, chosen), resample="stimulus")
    controlled = [by_category(rdms, stimuli, "azimuth_deg") for rdms in (models, regions)]
    results["categories partialled out"] = _fits(*controlled, resample="stimulus", control="view")
    whole = [by_category(rdms, stimuli, "identity") for rdms in (models, regions)]
    results["new categories"] = _fits(*whole, resample="identity")
    return results


def _fits(models: RDMs, regions: RDMs, **options: object) -> FitResult:
    return infer_fits(models, regions, method=METHOD, n_draws=1000, rng=np.random.default_rng(1), **options)


def over_starts(table: pd.DataFrame) -> pd.DataFrame:
    """Fits of trained networks with intervals; for random starts, mean and range of their fits."""
    keys = ["images", "region", "model", "regime", "layer"]
    grouped = table.groupby(keys, sort=False, dropna=False)
    found = grouped[["fit", "ci_low", "ci_high", "p_zero"]].first()
    found["fit"] = grouped["fit"].mean()
    many = grouped.size() > 1
    found.loc[many, "ci_low"], found.loc[many, "ci_high"] = grouped["fit"].min()[many], grouped["fit"].max()[many]
    found.loc[many, "p_zero"] = np.nan
    return found.assign(n=grouped.size()).reset_index()


def claims(results: dict[str, FitResult]) -> pd.DataFrame:
    """Differences between fits, with intervals, of layers chosen by their place in the network and not by their fits.

    Each layer of a trained network is compared with the mean of its five random starts. At the pooled map, training on
    objects is compared with training on faces, and the pooled map with pixels, C1 and the authors' models.
    """
    rows = []
    for images, result in results.items():
        names = list(_contrasts(result.models.reset_index(drop=True)))
        # One at a time: a model RDM that is constant over a subset of the images has no fit, but others have one.
        found = [result.contrasts(row[None]) for _, _, row in names]
        estimates, se, p = (np.concatenate(parts) for parts in zip(*found, strict=True))
        for place, (kind, about, _) in enumerate(names):
            for r, region in enumerate(result.recordings["region"]):
                reach = stats.t.ppf(0.975, result.df[r]) * se[place, r]
                row = {"estimate": estimates[place, r], "p": p[place, r]}
                row |= {"ci_low": estimates[place, r] - reach, "ci_high": estimates[place, r] + reach}
                rows.append({"images": images, "region": region, "claim": kind, "about": about, **row})
    table = pd.DataFrame(rows)
    table["p_adjusted"] = table.groupby(["images", "region", "claim"])["p"].transform(
        lambda p: adjust(p.to_numpy(), "bh")
    )
    significant = table["p_adjusted"] < 0.05
    table["verdict"] = np.where(~significant, "undecided", np.where(table["estimate"] > 0, "supported", "opposite"))
    return table


POOLED = {"efficientnet-lite0": "avgpool", "squeezenet": "pool10", "dlib_face": "avgpool"}
"""The layer of each network that pools the last map over space."""


def _contrasts(models: pd.DataFrame) -> Iterator[tuple[str, str, np.ndarray]]:
    """Each claim: its kind, the models it compares, and the weight of every model RDM in the difference."""
    trained, untrained = (models["regime"] == regime for regime in ("trained", "untrained"))
    for place in np.flatnonzero(trained):
        name, layer = models.loc[place, ["model", "layer"]]
        starts = (untrained & (models["model"] == name) & (models["layer"] == layer)).to_numpy()
        yield "trained above untrained", f"{name} {layer}", np.eye(len(models))[place] - starts / starts.sum()
    pooled = {
        name: int(np.flatnonzero(trained & (models["model"] == name) & (models["layer"] == layer))[0])
        for name, layer in POOLED.items()
        if (trained & (models["model"] == name)).any()
    }
    for other in pooled:
        if other == "dlib_face":
            for name in pooled.keys() - {other}:
                row = np.eye(len(models))[pooled[name]] - np.eye(len(models))[pooled[other]]
                yield "trained on objects above trained on faces", f"{name} {POOLED[name]}", row
    # That of monkey IT among the authors' RDMs is the recording itself.
    for place in np.flatnonzero(~models["model"].isin(POOLED) & (models["layer"] != "monkeyIT")):
        label = " ".join(
            str(models.loc[place, name]) for name in ("model", "layer") if pd.notna(models.loc[place, name])
        )
        for name, own in pooled.items():
            row = np.eye(len(models))[own] - np.eye(len(models))[place]
            yield "pooled map above another model", f"{name} above {label}", row


def main() -> None:
    """Fit, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    if not (options.data / "stimulus_set.csv").is_file():
        raise SystemExit(
            f"{options.data}: the 92 objects are not there; analyses/monkey_it.toml says where they come from"
        )
    stimuli = read_stimuli(options.data / "stimulus_set.csv", with_images=False)
    models, regions = load_rdm(str(options.run / "rdms" / "layers.hdf5")), patches(options.data, stimuli)
    results = fits(models, regions, stimuli)
    subjects = humans(options.data, stimuli)
    print(ceilings_of_rdms(subjects, method=METHOD).to_string(index=False, float_format="{:.2f}".format))
    results["all 92, four humans"] = _fits(models, subjects, resample=["stimulus", "subject"])
    frames = [result.to_frame().assign(images=images) for images, result in results.items()]
    table = over_starts(pd.concat(frames, ignore_index=True))
    best = [result.best_layer().assign(images=images) for images, result in results.items()]
    best = pd.concat(best, ignore_index=True).query("n_layers > 1")
    best = best[["images", "region", "model", "regime", "seed", "layer", "fit", "layer_set", "n_in_set", "n_layers"]]
    decided = claims(results)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, frame in (("monkey_it", table), ("monkey_it_best", best), ("monkey_it_claims", decided)):
        frame.round(4).to_csv(options.out / f"{name}.csv", index=False, lineterminator="\n")
        print(frame.to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
