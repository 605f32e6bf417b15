"""One self-contained HTML page for a run, made from its tables, figures and provenance alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import pandas as pd

from neural_data.rounding import first_largest
from neurocompare.comparison.methods import find_method
from neurocompare.comparison.resampling import FACTORS
from neurocompare.reporting.figures import CAPTIONS
from neurocompare.reporting.measure_figures import FIGURES
from neurocompare.reporting.regime_figures import REGIME_CAPTIONS

__all__ = ["methods_sentences", "summary_sentences", "write_report"]

PROFILE = ["model", "regime", "seed", "region"]
"""Columns that say which network is looked at for which patch."""
SUMMARY_COLUMNS = {
    "model": "network",
    "regime": "regime",
    "seed": "seed",
    "region": "patch",
    "layer": "best layer",
    "fit": "fit",
    "ci_low": "95 % from",
    "ci_high": "to",
    "ceiling_lower": "noise ceiling",
    "p_zero_adjusted": "adjusted p (fit > 0)",
}
FIT_COLUMNS = {
    "model": "network",
    "regime": "regime",
    "seed": "seed",
    "layer": "layer",
    "region": "patch",
    "fit": "fit",
    "se": "SE",
    "ci_low": "95 % from",
    "ci_high": "to",
    "p_zero": "p (fit > 0)",
    "p_zero_adjusted": "adjusted p",
    "ceiling_lower": "noise ceiling",
    "shapley_invariant": "invariant part",
    "shapley_sensitive": "sensitive part",
    "n_neurons": "neurons",
}
HYPOTHESIS_COLUMNS = {
    "hypothesis": "hypothesis",
    "statement": "statement",
    "verdict": "verdict",
    "estimate": "estimate",
    "ci_low": "95 % from",
    "ci_high": "to",
    "p_adjusted": "adjusted p",
    "n": "n",
}
MEASURE_TABLES = {
    "equivariance": (
        "Invariance and equivariance",
        "Mean correlation over images between a layer's response to an image and to its transform (invariance), or "
        "between the latter and the transformed response (equivariance); equations 2 and 3 of eLife 90256.",
    ),
    "templates": ("Templates in layers", "Non-negative weights of idealised RDMs in the RDM of each layer."),
    "templates_patches": ("Templates in patches", "Non-negative weights of idealised RDMs in the RDM of each patch."),
    "kernels_summary": (
        "Symmetry of kernels",
        "Correlation of one half of each output channel's weights with the mirror image of the other half, mean over "
        "channels and its 95 % t interval.",
    ),
    "units_summary": (
        "Mirror-symmetric units",
        "Share of units by the criterion of Baek et al. (2021) and by the revised one of eLife 90256, with its 95 % "
        "interval: binomial of one network, t over several seeds.",
    ),
    "local_features_summary": (
        "Local features",
        "Mirror-symmetry index of the layer, and correlation of single units' tuning with their tuning to the whole "
        "images (profile), with part of each image kept, deleted or shuffled: mean over exemplars, 95 % t interval.",
    ),
    "position_summary": (
        "Position tolerance",
        "Mirror-symmetry index with the stimuli in place and shifted: mean over exemplars and its 95 % t interval.",
    ),
}
"""Tables of optional measures that the report shows where they are: title and caption."""
MEASURE_HEADERS = {
    "model": "network",
    "image_set": "image set",
    "mean": "mean r",
    "sd": "SD",
    "ci_low": "95 % from",
    "ci_high": "to",
}
"""Headers of their columns, where a column's own name is not shown; ``layer_index`` is left out."""
COMPONENT_COLUMNS = {
    "model": "network",
    "regime": "regime",
    "seed": "seed",
    "layer": "layer",
    "region": "patch",
    "component": "component",
    "shapley": "share of the fit",
    "ci_low": "95 % from",
    "ci_high": "to",
    "p": "p (not 0)",
}
TRAINING_COLUMNS = {
    "model": "network",
    "regime": "regime",
    "seed": "seed",
    "epoch": "epochs",
    "train_accuracy": "accuracy: training",
    "validation_accuracy": "validation",
    "test_accuracy": "test",
}
CONTRAST_COLUMNS = {
    "measure": "measure",
    "model": "network",
    "region": "patch",
    "category": "category",
    "layer": "layer",
    "first": "regime",
    "second": "minus regime",
    "estimate": "difference",
    "ci_low": "95 % from",
    "ci_high": "to",
    "effect_size": "effect size",
    "p": "p",
    "p_adjusted": "adjusted p",
    "p_permutation": "p (permutation)",
    "n_first": "seeds",
    "n_second": "seeds of the other",
    "method": "test",
}
INTERACTION_COLUMNS = {
    "measure": "measure",
    "model": "network",
    "region": "patch",
    "first": "regime",
    "second": "other regime",
    "statistic": "F",
    "df": "df",
    "df_error": "error df",
    "p": "p",
    "p_adjusted": "adjusted p",
    "p_permutation": "p (permutation)",
    "n_layers": "layers",
    "method": "test",
}
COUNTED = ("seed", "epoch")
"""Whole numbers that a column with gaps holds as floating-point ones."""
INDEX_COLUMNS = {
    "model": "network",
    "regime": "regime",
    "seed": "seed",
    "layer": "layer or patch",
    "category": "category",
    "index": "mean index",
    "ci_low": "95 % from",
    "ci_high": "to",
    "n": "exemplars",
    "n_undefined": "undefined",
}


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run folder.

    Parameters
    ----------
    folder : pathlib.Path
        Holds ``tables/``, ``figures/`` and ``provenance.json`` of one run.

    Returns
    -------
    pathlib.Path
        The page; it needs no other file and no network.
    """
    tables = {path.stem: pd.read_parquet(path) for path in sorted((folder / "tables").glob("*.parquet"))}
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    fits = tables["fits"]
    captions = {table: caption for table, (_draw, caption) in FIGURES.items()}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("neurocompare.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.jinja").render(
        title=provenance["study"]["title"],
        sentences=summary_sentences(tables),
        warnings=[*_warnings(tables, quick=provenance.get("quick", False)), *provenance["notes"]],
        hypotheses=_shown(tables, "hypotheses", HYPOTHESIS_COLUMNS),
        measures=[
            (name, title, caption, _rows(tables[name], _measure_columns(tables[name])))
            for name, (title, caption) in MEASURE_TABLES.items()
            if name in tables
        ],
        best=_rows(_best_layers(fits), SUMMARY_COLUMNS),
        fits=_rows(fits, FIT_COLUMNS),
        indices=_rows(_index_rows(tables), INDEX_COLUMNS),
        figures=_figures(folder, CAPTIONS | {name: about for name, about in captions.items() if name != "components"}),
        decomposition=_shown(tables, "components", COMPONENT_COLUMNS),
        decomposition_figures=_figures(folder, {"components": captions["components"]}),
        trained=None if "training" not in tables else _rows(_last_epochs(tables["training"]), TRAINING_COLUMNS),
        contrasts=_shown(tables, "regime_contrasts", CONTRAST_COLUMNS),
        interactions=_shown(tables, "regime_interactions", INTERACTION_COLUMNS),
        regime_figures=_figures(folder, REGIME_CAPTIONS),
        methods=methods_sentences(tables),
        method=find_method(fits["method"].iloc[0]).label,
        first=fits.iloc[0].to_dict(),
        ceiling=tables["ceilings"].iloc[0].to_dict(),
        uncertainty=_uncertainty(provenance["study"]["comparison"]),
        provenance=provenance,
        study=json.dumps(provenance["study"], indent=2),
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def summary_sentences(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """What a run found, in plain words.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        The run's tables; ``hypotheses`` may be absent.

    Returns
    -------
    list of str
        One sentence for each hypothesis, for each network and patch, and one on view tuning.
    """
    fits, layers, patches = (tables[name] for name in ("fits", "viewpoint_summary", "viewpoint_patches_summary"))
    sentences = []
    if "hypotheses" in tables:
        sentences = [f"{row['verdict'].capitalize()}: {row['statement']}" for _, row in tables["hypotheses"].iterrows()]
    for (region, model, regime), best in _best_layers(fits).groupby(["region", "model", "regime"], sort=False):
        network = f"{region}: the best layer of {model} ({regime})"
        ceiling = best["ceiling_lower"].iloc[0]
        beside = "." if pd.isna(ceiling) else f"; noise ceiling {ceiling:.2f}."
        if len(best) == 1:
            row = best.iloc[0]
            interval = f"95 % interval {row['ci_low']:.2f} to {row['ci_high']:.2f}"
            sentences.append(f"{network} is {row['layer']}, fit {row['fit']:.2f} ({interval}){beside}")
        else:
            chosen = ", ".join(best["layer"].drop_duplicates())
            fitted = f"fits {best['fit'].min():.2f} to {best['fit'].max():.2f}"
            sentences.append(f"{network} over {len(best)} seeds is {chosen}, {fitted}{beside}")
    low, high = layers["index"].min(), layers["index"].max()
    several = patches["category"].nunique() > 1
    shown = ", ".join(
        f"{row['region']} {row['index']:.2f}" + (f" ({row['category']})" if several else "")
        for _, row in patches.iterrows()
    )
    sentences.append(
        f"Mirror-symmetric viewpoint tuning index: {low:.2f} to {high:.2f} over layers; in the patches {shown}."
    )
    return sentences


def methods_sentences(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Methods of what only some runs do, with their sources; empty for a run that did none of it.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        The run's tables.

    Returns
    -------
    list of str
    """
    sentences = []
    if "training" in tables:
        last = _last_epochs(tables["training"])
        epochs = sorted(last["epoch"].astype(int).unique())
        tested = last["test_accuracy"].dropna()
        reached = "" if tested.empty else f"; they reached {tested.min():.0%} to {tested.max():.0%} on test images"
        sentences.append(
            f"{len(last)} networks were trained for {_span(epochs)} epochs, on {_span(_seed_counts(last))} random "
            f"starts a regime{reached}. Mirrored regimes are those of Farzmahdi et al. (2024); the recipe of every "
            "network stands in the provenance."
        )
    if "equivariance" in tables:
        sentences.append("Invariance and equivariance are equations 2 and 3 of Farzmahdi et al. (2024).")
    if "components" in tables:
        sentences.append(
            "The activations of a layer were split into a reflection-invariant part (half the sum of the responses to "
            "an image and to its mirror image) and a reflection-sensitive part (half the difference); what each adds "
            "to the fit is its Shapley value (Shapley 1953; Lundberg and Lee 2017, NeurIPS)."
        )
    if "templates" in tables:
        sentences.append(
            "Template weights are non-negative least squares of an RDM on idealised RDMs (Yildirim et al. 2020, Sci "
            "Adv 6:eaax5979)."
        )
    if "regime_contrasts" in tables:
        sentences.append(_contrast_sentence(tables["regime_contrasts"]))
    return sentences


def _contrast_sentence(contrasts: pd.DataFrame) -> str:
    """How regimes were contrasted, as the rows say it."""
    methods = [str(method) for method in contrasts["method"].dropna().unique()]
    text = "Training regimes were contrasted layer by layer with the training seed as the random factor"
    text += f" ({'; '.join(methods)})"
    if any("mixed" in method for method in methods):
        text += ", by linear mixed models with restricted maximum likelihood (Laird and Ware 1982, Biometrics 38:963)"
    if contrasts["effect_size"].notna().any():
        text += "; effect sizes are Hedges' g (Hedges 1981)"
    if contrasts["p_permutation"].notna().any():
        text += "; permutation p values exchange the regimes of seeds (Ernst 2004, Stat Sci 19:676)"
    return text + "."


def _last_epochs(training: pd.DataFrame) -> pd.DataFrame:
    """The last row of every network."""
    ordered = training.sort_values("epoch", kind="stable")
    return ordered.drop_duplicates(["model", "regime", "seed"], keep="last").sort_index()


def _seed_counts(networks: pd.DataFrame) -> list[int]:
    return sorted(networks.groupby(["model", "regime"], dropna=False)["seed"].nunique())


def _span(counts: Sequence[int]) -> str:
    """Sorted counts as a text: one number, or the range."""
    return str(counts[0]) if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"


def _uncertainty(comparison: dict) -> str:
    """Methods sentence on standard errors and intervals, as they were computed."""
    sampled = comparison["resample"]
    sampled = [sampled] if isinstance(sampled, str) else sampled
    factors = " and ".join(FACTORS[factor].phrase or FACTORS[factor].plural for factor in sampled)
    if comparison["variance"] == "jackknife":
        how = f"come from leaving out parts of the {factors} (jackknife)"
    else:
        how = f"come from {comparison['n_draws']} bootstrap draws over {factors}"
        how += ", combined after Schütt et al. (2023, eLife 82566)" if len(sampled) > 1 else ""
    return f"Standard errors {how}; intervals and p values are those of Student's t with them."


def _best_layers(fits: pd.DataFrame) -> pd.DataFrame:
    """Row of the largest fit of every network to every patch."""
    defined = fits.dropna(subset="fit")
    profiles = defined.groupby(PROFILE, sort=False)["fit"]
    return defined.loc[[fits.index[first_largest(fits.to_numpy())] for _, fits in profiles]]


def _index_rows(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    patches = tables["viewpoint_patches_summary"].rename(columns={"region": "layer"})
    return pd.concat([tables["viewpoint_summary"], patches], ignore_index=True)


def _warnings(tables: Mapping[str, pd.DataFrame], *, quick: bool) -> list[str]:
    """What a reader must know before believing the numbers."""
    fits, found = tables["fits"], []
    if quick:
        found.append("A quick look (--quick): fewer seeds, identities, neurons and draws. Report no number of it.")
    if fits["simulated"].any():
        found.append(
            "The recording is simulated: its patches show what they were built to show, nothing about monkeys."
        )
    n_identities = fits["n_identities"].iloc[0]
    if n_identities < 10:
        found.append(f"Only {n_identities} identities were shown; intervals over stimuli say little about new faces.")
    undefined = int(tables["viewpoint_summary"]["n_undefined"].sum())
    if undefined:
        found.append(f"The mirror-symmetry index is undefined for {undefined} view RDMs (constant or not a number).")
    missing = int(fits["fit"].isna().sum())
    if missing:
        found.append(f"{missing} fits are undefined because an RDM is constant or has no measured pair.")
    return found


def _rows(table: pd.DataFrame, columns: dict[str, str]) -> dict[str, list]:
    """Headers and cells of the columns that hold anything: each cell as text, and as the number behind it."""
    kept = [name for name in columns if name in table.columns and table[name].notna().any()]
    cells = [
        [(_cell(name, value), _number(value)) for name, value in zip(kept, row, strict=True)]
        for row in table[kept].astype(object).to_numpy()
    ]
    numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in kept]
    return {"headers": list(zip((columns[name] for name in kept), kept, numeric, strict=True)), "rows": cells}


def _shown(tables: Mapping[str, pd.DataFrame], name: str, columns: dict[str, str]) -> dict[str, list] | None:
    """A table as the page shows it; None where the run does not have it."""
    return _rows(tables[name], columns) if name in tables else None


def _figures(folder: Path, captions: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Name, caption and address of the figures that the run has."""
    there = [name for name in captions if (folder / "figures" / f"{name}.svg").is_file()]
    return [(name, captions[name], _image(folder, name)) for name in there]


def _measure_columns(table: pd.DataFrame) -> dict[str, str]:
    """Columns of a measure's table and their headers."""
    return {name: MEASURE_HEADERS.get(name, name.replace("_", " ")) for name in table.columns if name != "layer_index"}


def _number(value: object) -> str:
    """The number of a cell in full, for sorting and downloading; empty for text and where it is undefined."""
    if isinstance(value, str) or pd.isna(value):
        return ""
    return repr(float(value)) if isinstance(value, float) else str(int(value))


def _cell(name: str, value: object) -> str:
    if pd.isna(value):
        return "–"
    if not isinstance(value, float):
        return str(value)
    if name in COUNTED:
        return f"{value:.0f}"
    if name == "p" or name.startswith("p_"):
        return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"
    return f"{value:.0f}" if name.startswith("n") else f"{value:.3f}"


def _image(folder: Path, name: str) -> str:
    """Figure as a data address, so that the page stands alone."""
    content = (folder / "figures" / f"{name}.svg").read_bytes()
    return "data:image/svg+xml;base64," + base64.b64encode(content).decode("ascii")
