"""Meaning and unit of the columns of all tables: one entry per column name.

A column with another meaning in one table is declared in that measure, as a
:class:`~neurocompare.reporting.tables.Column`.
"""

from __future__ import annotations

from neurocompare.reporting.tables import Column
from neurocompare.representations.rdms import LAYER

__all__ = ["COLUMNS", "LAYER", "SUMMARY", "columns"]

SUMMARY = ("mean", "sd", "ci_low", "ci_high", "n", "n_undefined")
"""Columns of a mean over exemplars, channels or seeds."""

_CORRELATION = "correlation"
COLUMNS: dict[str, Column] = {
    column.name: column
    for column in (
        Column("model", "name of the network", header="network"),
        Column("regime", "how the network was trained"),
        Column("seed", "seed of the random start and of training"),
        Column("layer", "name of the layer"),
        Column("layer_index", "position among the selected layers, in order of computation; 0 is the first"),
        Column("region", "patch of the recording", header="patch"),
        Column("subject", "animal; 'all' if animals are pooled"),
        Column("category", "category of the stimuli"),
        Column("identity", "exemplar: a face, or an object of a category"),
        Column("stimulus_id", "name of the stimulus"),
        Column("azimuth_deg", "yaw of the view; 0 is frontal, below 0 the nose points to the viewer's left", "degrees"),
        Column("simulated", "whether the recording is simulated"),
        Column("index", "mirror-symmetric viewpoint tuning index (eLife 90256, equation 1)", _CORRELATION),
        Column("mean", "mean of the values that are defined"),
        Column("sd", "standard deviation of the values", header="SD"),
        Column("se", "standard error", header="SE"),
        Column("ci_low", "lower end of the 95 % interval", header="95 % from"),
        Column("ci_high", "upper end of the 95 % interval", header="to"),
        Column("n", "number of values in the row's mean"),
        Column("n_undefined", "number of undefined values, which are left out", header="undefined"),
        Column("n_stimuli", "number of stimuli", header="stimuli"),
        Column("n_identities", "number of identities", header="identities"),
        Column("n_neurons", "number of neurons", header="neurons"),
        Column("n_draws", "bootstrap draws"),
        Column("n_splits", "random halves of the neurons"),
        Column("n_layers", "number of layers of the network", header="layers"),
        Column("n_seeds", "number of networks"),
        Column("p", "two-sided p value"),
        Column("p_adjusted", "p value corrected for multiplicity", header="adjusted p"),
        Column("statistic", "test statistic"),
        Column("df", "degrees of freedom; empty for a normal approximation"),
        # Fits
        Column("dissimilarity", "dissimilarity measure of the RDMs"),
        Column("method", "method of comparing two RDMs"),
        Column("resample", "populations that the intervals generalise to"),
        Column("fit", "similarity of the layer's RDM and the patch's RDM, in the unit of the method"),
        Column("p_zero", "one-sided p of the fit against 0, which shared views alone exceed", header="p (fit > 0)"),
        Column("p_zero_adjusted", "p_zero corrected over the layers within a patch", header="adjusted p (fit > 0)"),
        Column(
            "p_identity",
            "one-sided p of the fit under permuted identities, views kept: agreement about faces",
            header="p (identities)",
        ),
        Column(
            "p_identity_adjusted", "p_identity corrected over layers within a patch", header="adjusted p (identities)"
        ),
        Column("control", "what was partialled out of both RDMs, or which pairs alone were compared"),
        Column("p_ceiling", "two-sided p of the fit against the root of the reliability, a true model's fit"),
        Column("ceiling_lower", "reliability: expected fit of as many new neurons", _CORRELATION, header="reliability"),
        Column("ceiling_upper", "noise ceiling: root of the reliability, expected fit of a true model", _CORRELATION),
        Column("ceiling_lower_low", "lower end of the 95 % interval of the reliability, over neurons", _CORRELATION),
        Column("ceiling_lower_high", "upper end of the 95 % interval of the reliability, over neurons", _CORRELATION),
        Column("ceiling_upper_low", "lower end of the 95 % interval of the noise ceiling, over neurons", _CORRELATION),
        Column("ceiling_upper_high", "upper end of the 95 % interval of the noise ceiling, over neurons", _CORRELATION),
        Column(
            "image_fit",
            "simulated patches: fit of 4,000 other neurons, which know of identities what the images show and of the "
            "animal nothing: the best that a model of images can reach",
            header="best possible of images",
        ),
        Column("corrected_fit", "noise-corrected fit: over the root of the reliability; 1 is expected of a true model"),
        Column("corrected_low", "lower end of its 95 % interval, including the error of the ceiling"),
        Column("corrected_high", "upper end of its 95 % interval"),
        Column("ceiling_lower_se", "standard error of the reliability, over neurons", _CORRELATION),
        Column(
            "shapley_invariant", "contribution of the layer's reflection-invariant part", header="invariant part"
        ),
        Column(
            "shapley_sensitive", "contribution of the layer's reflection-sensitive part", header="sensitive part"
        ),
        Column("component", "reflection component: invariant, sensitive, or their difference"),
        Column("shapley", "Shapley value: contribution of the component to the fit", header="share of the fit"),
        # Encoding and links
        Column("across", "what was held out together: identities, views or stimuli"),
        Column("score", "corr: Pearson's r of held-out predictions within folds; r2: their explained variance"),
        Column("n_folds", "parts of the stimuli that were held out in turn", header="folds"),
        Column("ceiling", "score that is expected of a true model, from reliability over trials"),
        Column("corrected_prediction", "noise-corrected score: over that of a true model", header="corrected"),
        Column("penalty", "median ridge penalty, in units of the mean variance of a stimulus"),
        Column("link", "way to compare a layer and a patch", header="compared by"),
        Column("similarity", "similarity of layer and patch by this link; sizes of different links do not compare"),
        Column("agreement", "share of the other links by which this layer may be the best, too"),
        Column("network_place", "place of the network by its best layer among all networks; 1 is the most similar"),
        Column("partitioned", "what is explained: responses of neurons, or the RDM of the patch"),
        Column("part", "sets of layers"),
        Column("explained", "explained variance on held-out identities; noise can make parts negative"),
        Column("non_negative", "parts, at least 0, closest to what all subsets of the sets explain"),
        Column("simulated_link", "how simulated neurons follow from units: linear, monotone or permuted"),
        Column("found", "share of simulated experiments in which the generating layer is the most similar"),
        Column("found_low", "lower end of its 95 % interval (Wilson)", header="95 % from"),
        Column("found_high", "upper end of its 95 % interval", header="to"),
        Column("depth_error", "mean distance in relative depth between the generating and the most similar layer"),
        # Equality
        Column("other_subjects", "the other animals"),
        Column("fit_of_animals", "mean fit of the same patch of the other animals", header="other animals"),
        Column("margin", "smallest difference that matters"),
        Column("margin_ms", "smallest difference of onsets that matters", "ms"),
        Column("p_equal", "p of two one-sided tests: small if the difference lies within the margin, not corrected"),
        Column(
            "p_equal_adjusted",
            "p_equal corrected as p_adjusted is, but by Holm where that is by max",
            header="adjusted p (equal)",
        ),
        Column("p_equal_ceiling", "p of two one-sided tests: small if fit and noise ceiling are equal in the margin"),
        Column("ceiling_conclusion", "what that and p_ceiling say together", header="beside the ceiling"),
        Column("p_not_further", "one-sided p against minus the margin: small if no further than another animal"),
        Column("p_not_further_adjusted", "p_not_further corrected over layers", header="adjusted p (no further)"),
        Column("conclusion", "what the tests of difference and of equality say together"),
        Column("n_neurons_of_others", "neurons of the other animals"),
        # Layers of a network and patches
        Column("relative_depth", "position of the layer from 0 (first) to 1 (last)"),
        Column("depth_low", "relative depth of the first layer of the set; for a difference, lower end of interval"),
        Column("depth_high", "relative depth of the last layer of the set; for a difference, upper end of interval"),
        Column("layer_low", "first layer that may be the best"),
        Column("layer_high", "last layer that may be the best"),
        Column("share", "share of the units or draws counted"),
        Column("model_1", "first network"),
        Column("regime_1", "its training regime"),
        Column("seed_1", "its seed"),
        Column("model_2", "second network"),
        Column("regime_2", "its training regime"),
        Column("seed_2", "its seed"),
        Column("layer_1", "layer whose fit is the minuend"),
        Column("layer_2", "layer whose fit is subtracted"),
        Column("difference", "difference of the two fits"),
        Column("region_1", "first patch"),
        Column("subject_1", "its animal"),
        Column("region_2", "second patch"),
        Column("subject_2", "its animal"),
        Column("slope_difference", "rise of the fit from first to last layer, first patch minus second"),
        Column("interaction", "mean square of two profiles less their mean profile and mean difference"),
        Column("p_interaction", "p of the interaction, from resampling; ceilings taken as fixed"),
        Column("depth_difference", "relative depth of the best layer in the first patch minus that in the second"),
        Column("depth_se", "standard deviation of that difference over draws"),
        Column("p_depth", "two-sided p of that difference, from draws", header="p (depth)"),
        Column("depth_reason", "reason why best layers are not compared; empty if they are"),
        Column("per_ceiling", "whether noise-corrected fits were compared, which reliabilities do not change"),
        Column("layer_set", "layers whose fit does not differ significantly from the best", header="may be the best"),
        Column("n_in_set", "number of these layers"),
        Column("in_best_set", "whether no other layer fits significantly better: the layer may be the best"),
        # View tuning
        Column("reliability", "of the patch's view RDMs over neurons, Spearman-Brown corrected", _CORRELATION),
        Column("corrected_index", "noise-corrected index: one half of the neurons against the mirrored other half"),
        Column("corrected_se", "its standard error over exemplars and neurons"),
        Column("corrected_ci_low", "lower end of its 95 % interval"),
        Column("corrected_ci_high", "upper end of its 95 % interval"),
        Column("variant", "zscore and raw: the index with and without z-scored units; idealised: r with a template"),
        # Templates
        Column("template", "idealised RDM: view, mirror, identity; or pixels, the RDM of the images"),
        Column("weight", "non-negative least squares weight, RDM and templates at unit variance", "SD per SD"),
        Column("unique", "explained variance that is lost without the template"),
        Column("r2", "explained variance of all templates together"),
        # Images and transformations
        Column("image_symmetry", "largest r between left and mirrored right side, over planes", _CORRELATION),
        Column("symmetry_position", "position of that plane, from 0 (left edge) to 1 (right edge)"),
        Column("transform", "transformation of the image"),
        Column("measure", "quantity that the row holds"),
        Column("image_set", "images shown: set (the stimuli), photographs or noise", header="image set"),
        Column("shift_right_px", "shift to the right, in pixels of an image of size image_size_px", "pixels"),
        Column("shift_down_px", "shift down, in pixels of an image of size image_size_px", "pixels"),
        Column("image_size_px", "height and width of the image that shifts are measured in", "pixels"),
        # Kernels and units
        Column("channel", "output channel"),
        Column("symmetry", "r of one half of the weights with the same half of the flipped weights", _CORRELATION),
        Column("criterion", "baek2021: Baek et al. (2021); revised: that of eLife 90256"),
        Column("kind", "preferred view: full-profile, half-profile, or any of the two"),
        Column("population", "all units, or face-selective ones"),
        Column("n_found", "units that meet the criterion"),
        Column("n_units", "units of the population"),
        # Local features
        Column("condition", "intact; insertion: important pixels kept; deletion: grayed; shuffle: pieces moved"),
        Column("percent", "share of the foreground that is kept or grayed", "%"),
        Column("profile", "r of units' tuning with their tuning to the whole images, mean over units", _CORRELATION),
        Column("row", "row of the map, from the top"),
        Column("column", "column of the map, from the left"),
        Column("gray", "luminance of the image at this place, 0 to 1"),
        Column("importance", "centred response-weighted mean mask over the response's standard deviation"),
        # Hypotheses
        Column("hypothesis", "name of the claim"),
        Column("statement", "the claim in words"),
        Column("estimate", "estimated effect, in the unit of the tested column"),
        Column("correction", "correction for multiplicity"),
        Column("reason", "reason why the claim is undecided, if known"),
        Column("verdict", "supported, not supported, opposite or undecided"),
        # Training and regimes
        Column("epoch", "epochs of training; 0 is the random start", header="epochs"),
        Column("train_loss", "cross-entropy on the images trained on, in training mode", "nats"),
        Column("train_accuracy", "share of those images classified correctly", header="accuracy: training"),
        Column("validation_loss", "cross-entropy on images held out for validation", "nats"),
        Column("validation_accuracy", "share of those images classified correctly", header="validation"),
        Column("test_accuracy", "share of test images classified correctly, after the last epoch", header="test"),
        Column("value", "value of the measure: mean index, or fit"),
        Column("first", "regime"),
        Column("second", "regime that is subtracted"),
        Column("effect_size", "Hedges' g of the difference", header="effect size"),
        Column("p_permutation", "p from permutations of seeds", header="p (permutation)"),
        Column("n_first", "networks of the first regime", header="seeds"),
        Column("n_second", "networks of the second regime", header="seeds of the other"),
        Column("n_exemplars", "exemplars that are averaged within a network"),
        Column("df_error", "error degrees of freedom of F, before epsilon", header="error df"),
        Column("epsilon", "Greenhouse and Geisser's correction of the degrees of freedom"),
    )
}  # fmt: skip
"""Columns by name."""


def columns(*named: str | Column) -> tuple[Column, ...]:
    """Columns of a table, given as names in :data:`COLUMNS` or as :class:`Column` records.

    Raises
    ------
    KeyError
        If a name is not in :data:`COLUMNS`.
    """
    return tuple(column if isinstance(column, Column) else COLUMNS[column] for column in named)
