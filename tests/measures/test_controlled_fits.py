"""Nuisance RDMs in studies: what they are, and that partial correlations with them are those of a regression."""

from __future__ import annotations

import html
import re

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from neural_data import InputError, read_stimuli
from neurocompare import read_rdms, run_study
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.partition import partial_fits
from neurocompare.measures.controlled_fits import JACKKNIFE, PEARSON, ControlledFits, _from_file, _sentences
from neurocompare.representations.nuisance_rdms import NUISANCES, nuisance_rdms, view_distances_deg
from neurocompare.representations.rdms import rdm_table
from tests.comparison.conftest import rdms_of
from tests.comparison.test_layer_tests import made, network, views_of
from tests.conftest import noise_faces, write_small_study

NAMES = ["pixels", "view-distance", "mirror-view-distance", "identity"]


def test_angles_between_views_are_those_counted_by_hand():
    found = view_distances_deg(np.array([-90.0, 0.0, 90.0, 0.0]), np.array([0.0, 0.0, 0.0, 60.0]))
    np.testing.assert_allclose(found, [90, 180, 90, 90, 60, 90], atol=1e-9)


def test_nuisances_are_what_they_are_called(faces):
    rdms = {name: rdm.dissimilarities[0] for name, rdm in nuisance_rdms(list(NUISANCES), faces).items()}
    azimuths = faces.table["azimuth_deg"].to_numpy()
    first, second = np.triu_indices(len(faces), 1)
    np.testing.assert_allclose(rdms["view-distance"], np.abs(azimuths[first] - azimuths[second]), atol=1e-9)
    assert (rdms["mirror-view-distance"][azimuths[first] == -azimuths[second]] == 0).all()
    same = faces.table["identity"].to_numpy()[first] == faces.table["identity"].to_numpy()[second]
    np.testing.assert_array_equal(rdms["identity"], 1.0 - same)
    pixels = faces.images(12).reshape(len(faces), -1)
    # The network of pixels sees the images at a size of its own, so that their noise is smoothed.
    assert np.corrcoef(rdms["pixels"], 1 - np.corrcoef(pixels)[first, second])[0, 1] > 0.8
    assert (rdms["image-statistics"] >= 0).all()
    with pytest.raises(InputError, match="did you mean 'pixels'"):
        nuisance_rdms(["pixel"], faces)
    with pytest.raises(InputError, match="'view-distance' does not vary"):
        nuisance_rdms(["view-distance"], faces.select(azimuth_deg=0.0))


def residuals(values, *nuisances):
    return sm.OLS(values, sm.add_constant(np.column_stack(nuisances))).fit().resid


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("less")
    study = write_small_study(noise_faces(6), folder)
    own = np.random.default_rng(3).random((1, 435))
    np.save(folder / "ratings.npy", own)
    study.write_text(
        study.read_text()
        + f'[outputs]\ncontrolled_fits = {{nuisances = {NAMES}, nuisance_rdms = "ratings.npy"}}\n'.replace("'", '"')
    )
    return run_study(study, out=folder / "run"), folder, own[0]


def test_a_study_partials_every_nuisance_out_alone_and_all_of_them_together(run):
    found, folder, own = run
    stimuli = read_stimuli(folder / "set" / "stimulus_set.csv")
    table = found.tables["controlled_fits"]
    partial = table[table["nuisance"].fillna("") != ""]
    everything = "+".join([*NAMES, "ratings"])
    assert list(partial["nuisance"].drop_duplicates()) == [*NAMES, "ratings", everything]
    assert (partial["control"] == "none").all()
    rdms = {name: rdm.dissimilarities[0] for name, rdm in nuisance_rdms(NAMES, stimuli).items()} | {"ratings": own}
    layers, patches = (read_run_rdms(found.out, name) for name in ("layers", "patches"))
    for names in ("pixels", "ratings", everything):
        removed = [rdms[name] for name in names.split("+")]
        rows = partial[partial["nuisance"] == names].set_index(["layer", "region"])
        for (layer, region), row in rows.iterrows():
            rest = (residuals(vectors, *removed) for vectors in (layers[layer], patches[region]))
            assert row["fit"] == pytest.approx(np.corrcoef(*rest)[0, 1], abs=1e-6)
            assert row["ci_low"] < row["fit"] < row["ci_high"]


def test_the_report_says_what_is_left_beyond_all_nuisances(run):
    found, _, _ = run
    page = (found.out / "report.html").read_text()
    assert "Beyond pixels, view-distance, mirror-view-distance, identity, ratings, the layer that shares most" in page
    assert "Partial correlations are Pearson" in page
    assert JACKKNIFE not in page


def test_a_study_with_other_errors_and_methods_is_told_which_partial_correlations_have(tmp_path):
    study = write_small_study(noise_faces(6), tmp_path)
    study.write_text(study.read_text() + '[outputs]\ncontrolled_fits = {nuisances = ["identity"]}\n')
    asked = {"comparison.variance": "bootstrap", "comparison.method": "spearman", "comparison.n_draws": 50}
    page = html.unescape((run_study(study, out=tmp_path / "run", overrides=asked).out / "report.html").read_text())
    assert JACKKNIFE in page
    assert PEARSON in page


@pytest.mark.parametrize("name", ["", " ", "hue+size"])
def test_names_of_nuisance_rdms_that_a_table_cannot_hold_are_refused(faces, tmp_path, name):
    file = tmp_path / "ratings.hdf5"
    patterns = pd.DataFrame({"stimulus_id": faces.ids})
    rdms = rdms_of(np.random.default_rng(0).random((2, len(faces) * (len(faces) - 1) // 2)), patterns)
    rdms.rdm_descriptors["name"] = ["size", name]
    rdms.save(str(file))
    with pytest.raises(InputError, match=rf"ratings\.hdf5 has an RDM '{re.escape(name)}'.*rename it"):
        _from_file(ControlledFits(nuisance_rdms=str(file)), faces)
    rdms.rdm_descriptors["name"] = ["size", "pixels"]
    rdms.save(str(file), overwrite=True)
    with pytest.raises(InputError, match="'pixels' has the name of a built-in nuisance; rename it"):
        _from_file(ControlledFits(nuisance_rdms=str(file)), faces)


def test_controls_are_taken_out_of_nuisances_too(rng):
    patterns = views_of(8)
    layers = [rng.standard_normal((24, 20)) + np.repeat(rng.standard_normal((8, 20)), 3, axis=0) for _ in range(3)]
    models, neural = network(layers[:2], patterns), made([layers[0] + layers[2]], patterns, region=["AL"])
    nuisance, control = made([layers[2]], patterns), ("view", "identity")
    table = partial_fits(models, neural, {"other": nuisance}, control=control, resample="identity", rng=rng)
    # The oracle: dummies of the cells (pairs of views, of one identity or two) and the nuisance in one regression.
    first, second = np.triu_indices(24, 1)
    azimuths, identities = np.array(patterns["azimuth_deg"]), np.array(patterns["identity"])
    cells = [
        (*sorted((azimuths[i], azimuths[j])), identities[i] == identities[j])
        for i, j in zip(first, second, strict=True)
    ]
    dummies = pd.get_dummies(pd.Series([str(cell) for cell in cells]), dtype=float).to_numpy()
    basis = np.column_stack([dummies, nuisance.dissimilarities[0]])
    rest = [sm.OLS(v, basis).fit().resid for v in (*models.dissimilarities, *neural.dissimilarities)]
    for row in range(2):
        assert table["partial_fit"][row] == pytest.approx(np.corrcoef(rest[row], rest[2])[0, 1])
    # What a control removes whole is no direction of its own, and takes nothing more away.
    view = rdms_of(np.sin(1 + (azimuths[first] + azimuths[second]) / 70)[None], patterns)
    alone = partial_fits(models, neural, {"view": view}, control=control, resample="identity", rng=rng)
    np.testing.assert_allclose(alone["partial_fit"], alone["fit"])
    plain = infer_fits(models, neural, control=control, resample="identity", n_draws=2, ceilings=None, rng=rng)
    np.testing.assert_allclose(alone["se"], plain.se[:, 0])


def test_adjusted_p_values_are_those_of_one_patch(rng):
    patterns = views_of(6)
    layers = [rng.standard_normal((18, 20)) for _ in range(4)]
    models, neural = network(layers[:3], patterns), made(layers[:2], patterns, region=["AL", "AM"])
    table = partial_fits(
        models, neural, {"other": made([layers[3]], patterns)}, correction="holm", resample="identity", rng=rng
    )
    of_al = table[table["region"] == "AL"]
    assert of_al["p_zero_adjusted"].min() == pytest.approx(min(1, 3 * of_al["p_zero"].min()))


def read_run_rdms(out, name):
    rdms = read_rdms(out / "rdms" / f"{name}.hdf5")
    labels = rdm_table(rdms)
    return dict(zip(labels["layer" if name == "layers" else "region"], rdms.dissimilarities, strict=True))


def test_sentences_name_networks_as_other_sentences_do():
    row = {"model": "cnn", "regime": "digits", "region": "AL", "subject": "", "layer": "fc1", "nuisance": "pixels"}
    numbers = {"fit": 0.4, "ci_low": 0.3, "ci_high": 0.5, "p_zero_adjusted": 0.01}
    one = pd.DataFrame([{**row, **numbers, "seed": 0}])
    (said,) = _sentences({"controlled_fits": one}, {})
    assert said.startswith("Beyond pixels, the layer that shares most with AL is fc1 (cnn, digits): 0.40")
    two = pd.concat([one, one.assign(seed=1)], ignore_index=True)
    assert ["seed 0" in said for said in _sentences({"controlled_fits": two}, {})] == [True, False]
