"""Measures that a study asks for: their tables are those of the public functions, and hypotheses can name them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neural_data import InputError, read_stimuli
from neurocompare import compute_model_rdms, load_model, mirror_symmetry_index, run_study
from neurocompare.comparison.equivalence_tests import p_equal
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.recorded_index import corrected_indices
from neurocompare.measures import MEASURES
from neurocompare.measures.comparison import Comparison
from neurocompare.measures.layer_pairs import layer_pairs, network_pairs
from neurocompare.measures.randomness import step_rng
from neurocompare.representations.equivariance import measure_equivariance
from neurocompare.representations.neural_rdms import PopulationRequest
from neurocompare.representations.templates import template_contributions
from neurocompare.stimuli.image_sets import noise_images, read_images
from neurocompare.study.grammar import load_study
from neurocompare.study.runner import plan_study
from neurocompare.study.steps import read_own_stimuli, simulate_recording

ASKED = """
[outputs]
reflection = true
layer_tests = true
viewpoint_variants = true
templates = true
image_symmetry = true

[outputs.equivariance]
images = "photographs"
noise = true
n_images = 5

[[hypotheses]]
name = "variants"
statement = "The index without z-scoring goes with the index"
table = "viewpoint_variants"
value = "index"
test = "correlation"
selections = [{ variant = "zscore" }, { variant = "raw" }]
unit = ["seed", "layer", "identity"]
"""


def write_photographs(folder, rng):
    folder.mkdir()
    for number in range(6):
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(folder / f"{number}.png")


@pytest.fixture
def asking(small_study, tmp_path, rng):
    write_photographs(tmp_path / "photographs", rng)
    small_study.write_text(small_study.read_text().replace("layers = ", "seeds = [0, 1]\nlayers = ") + ASKED)
    return small_study


def test_tables_are_those_of_the_public_functions(asking, tmp_path):
    run = run_study(asking, out=tmp_path / "run")
    settings, layers = load_study(asking), ["conv4", "fc1"]
    network, stimuli = load_model("cnn-small", seed=1), read_own_stimuli(settings)

    photographs = read_images(tmp_path / "photographs", n_images=5, rng=step_rng(3, "photographs"))
    noise = noise_images(5, 32, rng=step_rng(3, "noise images"))
    expected = pd.concat(
        [measure_equivariance(network, images, layers) for images in (stimuli, photographs, noise)], ignore_index=True
    )
    found = run.tables["equivariance"].query("seed == 1").reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, atol=1e-5)
    exemplars = run.tables["equivariance_exemplars"].query("seed == 1")
    weighted = exemplars.assign(total=exemplars["mean"] * exemplars["n"])
    sums = weighted.groupby(["layer", "transform", "measure", "image_set"], sort=False)[["total", "n"]].sum()
    np.testing.assert_allclose(sums["total"] / sums["n"], expected["mean"], atol=1e-5)
    assert found["image_set"].unique().tolist() == ["set", "photographs", "noise"]

    variants = run.tables["viewpoint_variants"].query("seed == 1")
    raw = mirror_symmetry_index(compute_model_rdms(network, stimuli, layers, normalize=None, within="identity"))
    np.testing.assert_allclose(variants.query("variant == 'raw'")["index"], raw, atol=1e-5)
    in_viewpoint = run.tables["viewpoint"].query("seed == 1")["index"]
    np.testing.assert_allclose(variants.query("variant == 'zscore'")["index"], in_viewpoint, atol=1e-5)

    pixels = compute_model_rdms(load_model("pixels"), stimuli, normalize=None)
    weights = template_contributions(compute_model_rdms(network, stimuli, layers, normalize=None), pixels)["weight"]
    np.testing.assert_allclose(run.tables["templates"].query("seed == 1")["weight"], weights, atol=1e-4)
    assert run.tables["templates_patches"]["region"].unique().tolist() == ["ML", "AL", "AM"]

    components, fits = run.tables["components"], run.tables["fits"]
    invariant = components[components["component"] == "invariant"].merge(fits, on=["seed", "layer", "region"])
    np.testing.assert_allclose(invariant["shapley"], invariant["shapley_invariant"], atol=1e-12)
    assert (components["ci_low"] < components["shapley"]).all()
    assert (components["shapley"] < components["ci_high"]).all()

    pairs = run.tables["layer_pairs"]
    assert len(pairs) == 2 * 2 * 3
    wide = fits.pivot(index=["seed", "region"], columns="layer", values="fit")
    first = pairs[pairs["layer_1"] == "fc1"].set_index(["seed", "region"])["difference"]
    np.testing.assert_allclose(first, (wide["fc1"] - wide["conv4"]).reindex(first.index), atol=1e-12)
    best = run.tables["best_layers"].set_index(["seed", "region"])["layer"]
    assert (best == wide.idxmax(axis=1).reindex(best.index)).all()
    assert len(run.tables["patch_pairs"]) == 2 * 3

    assert run.tables["hypotheses"]["n"].tolist() == [2 * 2 * 6]
    page = (run.out / "report.html").read_text()
    figures = {figure.name for measure in MEASURES.values() for figure in measure.figures}
    assert all(f'id="{name}"' in page for name in figures & run.tables.keys())
    assert (run.out / "figures" / "components.png").is_file()


@pytest.mark.parametrize("column", ["seed", "regime"])
def test_layers_of_a_network_whose_seed_or_regime_is_unknown_are_paired(column):
    unknown = {"seed": [np.nan] * 2 + [3.0] * 2, "regime": [None] * 2 + ["natural"] * 2}[column]
    estimates = np.array([[0.1], [0.3], [0.2], [0.7]])
    result = FitResult(
        models=pd.DataFrame({"model": "net", column: unknown, "layer": ["a", "b"] * 2, "layer_index": [0, 1] * 2}),
        recordings=pd.DataFrame({"region": ["AL"], "subject": ["m1"]}),
        estimates=estimates,
        draws=np.random.default_rng(1).random((20, 4, 1)),
        deviations={("neuron",): np.random.default_rng(2).random((5, 4, 1))},
        variance="bootstrap",
        sizes={"neuron": np.array([9])},
        factors=("neuron",),
        method="corr",
        dissimilarity="correlation",
        n_stimuli=5,
        n_identities=5,
        n_neurons=np.array([9]),
        n_redrawn={},
    )
    pairs = layer_pairs(result, None)
    assert pairs["difference"].tolist() == pytest.approx([-0.2, -0.5, 0.2, 0.5])
    assert pairs[column].isna().tolist() == [True, False] * 2
    # Layers of two networks: a and a, b and b.
    assert network_pairs(result, None)["difference"].tolist() == pytest.approx([-0.1, -0.4])


def test_degrees_of_freedom_of_layer_pairs_are_those_of_the_subjects_own_recording():
    sizes = np.array([4, 9, 30])
    deviations = {("neuron",): np.full((5, 2, 3), 0.1)}
    result = FitResult(
        models=pd.DataFrame({"model": ["net"] * 2, "layer": ["a", "b"], "layer_index": [0, 1]}),
        recordings=pd.DataFrame({"region": ["AL", "AL", "AM"], "subject": ["m1", "m2", "m2"]}),
        estimates=np.array([[0.1, 0.2, 0.3], [0.3, 0.5, 0.6]]),
        draws=np.random.default_rng(1).random((20, 2, 3)),
        deviations=deviations,
        variance="bootstrap",
        sizes={"neuron": sizes},
        factors=("neuron",),
        method="corr",
        dissimilarity="correlation",
        n_stimuli=5,
        n_identities=5,
        n_neurons=sizes,
        n_redrawn={},
    )
    pairs = MEASURES["layer_tests"].compute(fit_result=result, simulated=False).tables["layer_pairs"]
    assert (pairs["conclusion"] == "").all()
    within = MEASURES["layer_tests"].compute(
        fit_result=result, simulated=False, comparison=Comparison(equal_within=0.9)
    )
    expected = p_equal(pairs["difference"].to_numpy(), pairs["se"].to_numpy(), pairs["df"].to_numpy(), 0.9)
    np.testing.assert_allclose(within.tables["layer_pairs"]["p_equal"], expected)
    assert pairs.set_index(["region", "subject", "layer_1"])["df"].to_dict() == {
        (region, subject, layer): n - 1
        for (region, subject), n in zip([("AL", "m1"), ("AL", "m2"), ("AM", "m2")], sizes, strict=True)
        for layer in "ab"
    }


def test_patch_indices_are_corrected_with_an_interval(small_study, tmp_path):
    table = run_study(small_study, out=tmp_path / "run").tables["viewpoint_patches_summary"]
    settings = load_study(small_study)
    stimuli = read_own_stimuli(settings)
    expected = corrected_indices(
        simulate_recording(settings, stimuli),
        PopulationRequest(stimuli),
        n_splits=4,
        rng=step_rng(3, "corrected indices"),
    )
    np.testing.assert_allclose(table["index"], expected["index"])
    for column in ("corrected_index", "reliability", "n_neurons"):
        np.testing.assert_allclose(table[column], expected[column])
    np.testing.assert_allclose(table["corrected_ci_low"], expected["ci_low"])


@pytest.mark.slow
def test_image_symmetry_is_that_of_the_images(small_study, tmp_path, faces):
    """Every image is made mirror-symmetric about its middle, but for one of noise."""
    for number, name in enumerate(faces.table["filename"]):
        image = np.asarray(Image.open(tmp_path / "set" / "images" / name))
        if number:
            Image.fromarray(np.concatenate([image, image[:, ::-1]], axis=1)).save(tmp_path / "set" / "images" / name)
        else:
            Image.fromarray(np.concatenate([image, image[::-1]], axis=1)).save(tmp_path / "set" / "images" / name)
    overrides = {"outputs.image_symmetry": True, "stimuli.size": 32}
    table = run_study(small_study, out=tmp_path / "run", overrides=overrides).tables["image_symmetry"]
    assert table["stimulus_id"].tolist() == read_stimuli(tmp_path / "set").yaw_views().ids
    assert (table["image_symmetry"][1:] > 0.999).all()
    np.testing.assert_allclose(table["symmetry_position"][1:], 0.5, atol=0.02)
    assert table["image_symmetry"][0] < 0.9


@pytest.mark.slow
def test_a_measure_depends_on_its_files_and_settings_and_on_no_other_measure(asking, tmp_path):
    def key(**overrides):
        plan = plan_study(asking, overrides=overrides)
        (planned,) = (one for one in plan.measures if one.measure.key == "equivariance")
        return planned.steps[0].key

    noise = {"outputs.equivariance": {"noise": True}}
    keys = [key(), key(**{"outputs.equivariance.noise": False})]
    keys += [key(**noise, seed=seed) for seed in (3, 4)]
    assert key(**{"outputs.templates": False, "comparison.n_draws": 60}) == keys[0]
    (tmp_path / "photographs" / "0.png").unlink()
    keys.append(key())
    assert len(set(keys)) == 5


def test_true_stands_for_the_defaults(small_study):
    asked = load_study(small_study, {"outputs.equivariance": True}).outputs.equivariance
    assert (asked.images, asked.noise) == (None, False)
    assert not load_study(small_study, {"outputs.equivariance": False}).outputs.equivariance


@pytest.mark.slow
def test_an_even_number_of_views_keeps_every_column(small_study, tmp_path):
    """Without a frontal view nothing is left out: the index equals that of the definition."""
    views = {"stimuli.azimuths_deg": "[-90, -45, 45, 90]"}
    table = run_study(small_study, out=tmp_path / "run", overrides=views).tables["viewpoint"]
    stimuli = read_stimuli(tmp_path / "set").yaw_views([-90, -45, 45, 90])
    matrices = compute_model_rdms(load_model("cnn-small"), stimuli, ["conv4", "fc1"], within="identity").get_matrices()
    expected = [np.corrcoef(m.ravel(), m[:, ::-1].ravel())[0, 1] for m in matrices]
    np.testing.assert_allclose(table["index"], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"outputs.equivariance.measures": '["equivariance"]'}, "equivariance needs layers with a map"),
        ({"outputs.equivariance.images": "nowhere"}, "nowhere: is neither a folder of images"),
        ({"outputs.equivariance.n_images": 7}, "has 6 images, but 7 are wanted"),
    ],
)
def test_what_equivariance_cannot_use_is_refused(asking, tmp_path, overrides, message):
    with pytest.raises(InputError, match=message):
        run_study(asking, out=tmp_path / "run", overrides=overrides)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_layers_without_a_map_get_invariance_alone(asking, tmp_path):
    table = run_study(asking, out=tmp_path / "run").tables["equivariance"]
    measured = table.groupby("layer")["measure"].unique().map(set)
    assert measured["conv4"] == {"invariance", "equivariance"}
    assert measured["fc1"] == {"invariance"}


def test_a_key_of_a_measure_is_named_with_its_line(asking):
    asking.write_text(asking.read_text().replace("noise = true", "noises = true"))
    line = 1 + asking.read_text().splitlines().index("noises = true")
    with pytest.raises(
        InputError, match=f"line {line}: unknown key 'outputs.equivariance.noises'; did you mean 'noise'"
    ):
        load_study(asking)
