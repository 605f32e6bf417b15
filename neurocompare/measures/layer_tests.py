"""Best layers, differences between layers and between networks, and between the layer profiles of patches.

From the fits of all layers: for each network and patch the best layer with a set of layers that contains it with the
nominal confidence; the difference of every two layers, and of every two networks at one layer; and for every two
patches whether their profiles over layers differ (``comparison.layer_tests``). Differences have tests of equality where
``equal_within`` is given.
"""

from __future__ import annotations

from neurocompare.comparison.equivalence_tests import EQUALITY_COLUMNS
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.layer_tests import compare_layer_profiles, profile_notes
from neurocompare.measures.columns import columns
from neurocompare.measures.comparison import Comparison
from neurocompare.measures.declaration import Measure, Measured, ReportTable
from neurocompare.measures.layer_pairs import LAYER_PAIR_COLUMNS, NETWORK_PAIR_COLUMNS, layer_pairs, network_pairs
from neurocompare.measures.patch_names import by_patch
from neurocompare.reporting.tables import Table
from neurocompare.representations.rdms import NETWORK

__all__ = ["LAYER_TESTS"]


def measure(*, fit_result: FitResult, simulated: bool, comparison: Comparison | None = None) -> Measured:
    """Best layers, all ordered pairs of layers of a network, pairs of networks at a layer, and pairs of patches."""
    margin = None if comparison is None else comparison.equal_within
    tables = {"best_layers": fit_result.best_layer(), "layer_pairs": layer_pairs(fit_result, margin)}
    networks = network_pairs(fit_result, margin)
    if len(networks):
        tables["network_pairs"] = networks
    if len(fit_result.recordings) > 1:
        tables["patch_pairs"] = compare_layer_profiles(fit_result, margin=margin)
    marked = {name: table.assign(simulated=simulated) for name, table in tables.items()}
    return Measured(marked, profile_notes(fit_result))


LAYER_TESTS = Measure(
    key="layer_tests",
    title="Tests of layers",
    about="best layers, differences between layers, and between the layer profiles of patches",
    compute=measure,
    work=lambda _settings, _n_stimuli: 1,
    tables=(
        Table(
            "best_layers",
            "The layer of one network that fits one patch best.",
            columns(
                *(*NETWORK, "region", "subject", "layer", "layer_index", "fit", "relative_depth"),
                *("depth_low", "depth_high", "layer_low", "layer_high", "layer_set", "n_in_set", "share", "n_layers"),
                "simulated",
            ),
        ),
        Table(
            "layer_pairs",
            "Difference of the fits of two layers of one network to one patch.",
            columns(*LAYER_PAIR_COLUMNS, "simulated"),
        ),
        Table(
            "network_pairs",
            "Difference of the fits of one layer of two networks to one patch.",
            columns(*NETWORK_PAIR_COLUMNS, "simulated"),
        ),
        Table(
            "patch_pairs",
            "Whether two patches are fitted alike by the layers of one network.",
            columns(
                *(*NETWORK, "region_1", "subject_1", "region_2", "subject_2"),
                *("slope_difference", "se", "df", "ci_low", "ci_high", "p", "p_adjusted", *EQUALITY_COLUMNS),
                *("per_ceiling", "interaction", "p_interaction"),
                *("depth_difference", "depth_se", "depth_low", "depth_high", "p_depth", "depth_reason", "n_layers"),
                "simulated",
            ),
        ),
    ),
    shown=(
        ReportTable(
            "best_layers",
            "Best layer of each network for each patch, and the layers that may be the best (those that no other layer "
            "fits significantly better than), from the fits alone: whether it goes beyond permuted identities is at "
            "the top of the report.",
            columns=(
                *(*NETWORK, "region", "layer", "fit", "relative_depth"),
                *("layer_set", "n_in_set", "depth_low", "depth_high", "share", "n_layers"),
            ),
            rows=lambda tables: by_patch(tables["best_layers"]),
        ),
        ReportTable(
            "patch_pairs",
            "Whether the layers of one network fit two patches alike. Depths are compared only where, for both, some "
            "layer fits beyond permuted identities.",
            columns=(
                *(*NETWORK, "region_1", "subject_1", "region_2", "subject_2"),
                *("slope_difference", "ci_low", "ci_high", "p", "p_adjusted", "conclusion", "p_interaction"),
                *("depth_difference", "depth_low", "depth_high", "p_depth", "depth_reason"),
            ),
        ),
    ),
)
