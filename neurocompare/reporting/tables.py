"""Tables as files: CSV for people and spreadsheets, Parquet for programs; the documented columns in their order."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from neurocompare.comparison.fit_result import FIT_COLUMNS
from neurocompare.comparison.hypotheses import HYPOTHESIS_COLUMNS
from neurocompare.comparison.power import POWER_COLUMNS
from neurocompare.comparison.regime_contrasts import REGIME_CONTRAST_COLUMNS, REGIME_INTERACTION_COLUMNS
from neurocompare.comparison.shapley import REFLECTION_COLUMNS
from neurocompare.models.training import TRAINING_COLUMNS
from neurocompare.representations.equivariance import EQUIVARIANCE_COLUMNS
from neurocompare.representations.local_features import IMPORTANCE_COLUMNS, LOCAL_FEATURE_COLUMNS
from neurocompare.representations.position import POSITION_COLUMNS
from neurocompare.representations.symmetry import KERNEL_COLUMNS
from neurocompare.representations.units import UNIT_COLUMNS

__all__ = ["COLUMNS", "latex_table", "markdown_table", "ordered", "shown_fits", "write_table"]

NETWORK_COLUMNS = ("model", "regime", "seed", "layer", "layer_index")
SUMMARY_COLUMNS = ("mean", "sd", "ci_low", "ci_high", "n", "n_undefined")
COLUMNS: dict[str, tuple[str, ...]] = {
    "fits": (*FIT_COLUMNS, "shapley_invariant", "shapley_sensitive", "simulated"),
    "viewpoint": ("model", "regime", "seed", "layer", "layer_index", "category", "identity", "index"),
    "viewpoint_summary": (
        *("model", "regime", "seed", "layer", "layer_index", "category"),
        *("index", "sd", "ci_low", "ci_high", "n", "n_undefined"),
    ),
    "viewpoint_patches": ("region", "subject", "category", "identity", "index", "simulated"),
    "viewpoint_patches_summary": (
        *("region", "subject", "category", "index", "sd", "ci_low", "ci_high", "n", "n_undefined"),
        *("n_neurons", "reliability", "corrected_index", "corrected_se", "corrected_ci_low", "corrected_ci_high"),
        "simulated",
    ),
    "viewpoint_variants": (
        *("model", "regime", "seed", "layer", "layer_index", "category", "identity", "variant", "index"),
    ),
    "ceilings": (
        *("region", "subject", "dissimilarity", "method", "n_stimuli", "n_neurons", "n_splits"),
        *("ceiling_lower", "ceiling_lower_se", "ceiling_upper", "simulated"),
    ),
    "components": (*REFLECTION_COLUMNS, "simulated"),
    "equivariance": EQUIVARIANCE_COLUMNS,
    "equivariance_exemplars": (*EQUIVARIANCE_COLUMNS[:8], "category", "identity", *EQUIVARIANCE_COLUMNS[8:]),
    "best_layers": (
        *("model", "regime", "seed", "region", "subject", "layer", "layer_index", "fit", "relative_depth"),
        *("depth_low", "depth_high", "layer_low", "layer_high", "share", "n_layers", "simulated"),
    ),
    "layer_pairs": (
        *("model", "regime", "seed", "region", "subject", "layer_1", "layer_2"),
        *("difference", "se", "df", "ci_low", "ci_high", "p", "simulated"),
    ),
    "patch_pairs": (
        *("model", "regime", "seed", "region_1", "subject_1", "region_2", "subject_2"),
        *("slope_difference", "ci_low", "ci_high", "p", "p_adjusted", "interaction", "p_interaction"),
        *("depth_difference", "depth_se", "depth_low", "depth_high", "n_layers", "simulated"),
    ),
    "templates": ("model", "regime", "seed", "layer", "layer_index", "template", "weight", "unique", "r2"),
    "templates_patches": ("region", "subject", "template", "weight", "unique", "r2", "simulated"),
    "image_symmetry": (*("stimulus_id", "category", "identity", "azimuth_deg", "image_symmetry", "symmetry_position"),),
    "hypotheses": HYPOTHESIS_COLUMNS,
    "training": ("model", "regime", "seed", *TRAINING_COLUMNS),
    "trajectories": (
        "model",
        "regime",
        "seed",
        "epoch",
        "layer",
        "layer_index",
        "region",
        "subject",
        "measure",
        "value",
    ),
    "regime_contrasts": REGIME_CONTRAST_COLUMNS,
    "regime_interactions": REGIME_INTERACTION_COLUMNS,
    "power": ("first", "second", *POWER_COLUMNS),
    "kernels": KERNEL_COLUMNS,
    "kernels_summary": (*NETWORK_COLUMNS, "transform", *SUMMARY_COLUMNS),
    "units": UNIT_COLUMNS,
    "units_summary": (
        *("model", "regime", "layer", "layer_index", "criterion", "kind", "population"),
        *("share", "ci_low", "ci_high", "n_found", "n_units", "n_seeds"),
    ),
    "local_features": LOCAL_FEATURE_COLUMNS,
    "importance": IMPORTANCE_COLUMNS,
    "local_features_summary": (*NETWORK_COLUMNS, "condition", "percent", "measure", *SUMMARY_COLUMNS),
    "position": POSITION_COLUMNS,
    "position_summary": (
        *(*NETWORK_COLUMNS, "category", "shift_right_px", "shift_down_px", "image_size_px"),
        *SUMMARY_COLUMNS,
    ),
}
"""Columns of each table, in the order in which they are written. Empty where a column does not apply."""


def ordered(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table with its documented columns in their order; those that it lacks are empty.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows to write.
    name : str
        A key of :data:`COLUMNS`.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ValueError
        If the table has a column that is not documented.
    """
    unknown = sorted(set(table.columns) - set(COLUMNS[name]))
    if unknown:
        raise ValueError(f"table {name!r} has columns {unknown} that are not documented in reporting.tables.COLUMNS")
    return table.reindex(columns=list(COLUMNS[name])).reset_index(drop=True)


def write_table(table: pd.DataFrame, name: str, folder: Path) -> None:
    """Write ``NAME.csv`` and ``NAME.parquet``.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`ordered` gives it.
    name : str
        File name without suffix.
    folder : pathlib.Path
        Exists.
    """
    table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    table.to_parquet(folder / f"{name}.parquet", index=False)


def markdown_table(table: pd.DataFrame, *, digits: int = 2) -> str:
    """Table as Markdown, numbers with a fixed number of digits, undefined ones as ``-``.

    Parameters
    ----------
    table : pandas.DataFrame
        Few columns, each with a short name.
    digits : int
        Digits after the decimal point of floating-point columns.

    Returns
    -------
    str
        Ends in a newline.
    """

    def cell(value: object) -> str:
        if value is None or value != value:
            return "-"
        return f"{value:.{digits}f}" if isinstance(value, float) else str(value)

    rows = [list(map(str, table.columns)), ["---"] * table.shape[1]]
    rows += [[cell(value) for value in row] for row in table.itertuples(index=False)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def latex_table(table: pd.DataFrame, *, digits: int = 2) -> str:
    """Table as LaTeX (package ``booktabs``), numbers as in :func:`markdown_table`.

    Parameters
    ----------
    table : pandas.DataFrame
        Few columns, each with a short name.
    digits : int
        Digits after the decimal point of floating-point columns.

    Returns
    -------
    str
        A ``tabular`` environment that ends in a newline.
    """
    special = str.maketrans({c: f"\\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\~{}", "^": r"\^{}"})

    def cell(value: object) -> str:
        if value is None or value != value:
            return "--"
        if isinstance(value, float):
            return f"${value:.{digits}f}$" if value < 0 else f"{value:.{digits}f}"
        return str(value).translate(special)

    numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in table.columns]
    lines = [r"\begin{tabular}{" + "".join("r" if right else "l" for right in numeric) + "}", r"\toprule"]
    lines += [" & ".join(cell(str(name)) for name in table.columns) + r" \\", r"\midrule"]
    lines += [" & ".join(cell(value) for value in row) + r" \\" for row in table.itertuples(index=False)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def shown_fits(fits: pd.DataFrame) -> pd.DataFrame:
    """Columns of the fit table that a paper would print, under short names."""
    names = {
        "model": "network",
        "regime": "regime",
        "seed": "seed",
        "layer": "layer",
        "region": "patch",
        "fit": "fit",
        "ci_low": "95 % from",
        "ci_high": "to",
        "p_zero_adjusted": "adjusted p",
        "ceiling_lower": "ceiling",
    }
    return fits[list(names)].rename(columns=names)
