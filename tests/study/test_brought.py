"""Studies of RDMs that people bring, of recordings without models, and of models without a recording."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neural_data import InputError, simulate_patches, write_recording, write_stimuli
from neurocompare import compare_rdms, compute_model_rdms, load_model, read_rdms
from neurocompare.measures.page import summary_sentences
from neurocompare.representations.rdm_files import write_rdms
from neurocompare.representations.rdms import rdm_table
from neurocompare.study.runner import plan_study, run_study

N = 14
IDS = [f"obj{i}" for i in range(N)]
RNG = np.random.default_rng(0)
MODELS = RNG.random((3, N * (N - 1) // 2))
BRAINS = MODELS[:1] + RNG.random((4, MODELS.shape[1]))


@pytest.fixture
def brought(tmp_path):
    """A set of objects without images, identities or views; RDMs of three models and of two subjects, two sessions."""
    (tmp_path / "set.csv").write_text("stimulus_id\n" + "\n".join(IDS))
    np.savez(tmp_path / "models.npz", rdms=MODELS, stimulus_id=np.array(IDS), name=np.array(["a", "b", "c"]))
    upper = np.triu_indices(N, 1)
    rows = [
        (IDS[i], IDS[j], f"IT | {subject} | {session}", BRAINS[2 * session + place][pair])
        for place, subject in enumerate(("M1", "M2"))
        for session in (0, 1)
        for pair, (i, j) in enumerate(zip(*upper, strict=True))
    ]
    columns = ["stimulus_1", "stimulus_2", "name", "dissimilarity"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "brains.csv", index=False)
    return tmp_path


STUDY = {
    "stimuli": {"source": "set.csv"},
    "models": [{"rdms": "models.npz"}],
    "recording": {"rdms": "brains.csv", "name_pattern": "{region} | {subject} | {session}", "average": "session"},
    "comparison": {"n_draws": 50},
}


def study(folder, **changes):
    made = {**STUDY, **changes}
    anchored = {**made, "stimuli": {"source": str(folder / made["stimuli"]["source"])}}
    anchored["models"] = [{**m, "rdms": str(folder / m["rdms"])} if "rdms" in m else m for m in made["models"]]
    if "rdms" in made["recording"]:
        anchored["recording"] = {**made["recording"], "rdms": str(folder / made["recording"]["rdms"])}
    return anchored


def test_rdms_alone_are_a_study(brought, tmp_path):
    run = run_study(study(brought), out=tmp_path / "out", n_jobs=1)
    fits = run.tables["fits"]
    assert fits["resample"].unique().tolist() == ["stimulus+subject"], "what is resampled follows what is there"
    assert fits["layer"].tolist() == ["a", "b", "c"]
    assert fits["model"].unique().tolist() == ["models"]
    brains = read_rdms(brought / "brains.csv", name_pattern="{region} | {subject} | {session}", average="session")
    by_subject = compare_rdms(read_rdms(brought / "models.npz"), brains)
    np.testing.assert_allclose(fits["fit"], by_subject.mean(axis=1), atol=1e-12)
    ceilings = run.tables["ceilings"].iloc[0]
    assert ceilings["n_subjects"] == 2
    assert ceilings["ceiling_lower"] < ceilings["ceiling_upper"] <= 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert "the best layer of models (brought) is a" in page
    assert (tmp_path / "out" / "rdms" / "layers.hdf5").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"comparison": {"resample": ["stimulus", "neuron"]}},
            "neurons cannot be resampled, because the recording consists of",
        ),
        ({"recording": {"rdms": "brains.csv", "regions": ["AL"]}}, "has no region 'AL'"),
        ({"recording": {"rdms": "none.csv"}}, "none.csv: no such file of RDMs"),
        ({"models": [{"rdms": "models.npz", "names": "d"}]}, "no RDM is called 'd'"),
        ({"recording": {}}, "a recording can be simulated only for identities in several views"),
        ({"recording": {"source": "none"}, "outputs": {"layer_tests": True}}, "layer_tests needs fit_result"),
        ({"outputs": {"units": True}}, "outputs.units needs"),
    ],
)
def test_what_does_not_go_with_brought_rdms_is_refused_before_any_work(brought, changes, message):
    with pytest.raises(InputError, match=message):
        plan_study(study(brought, **changes))


def test_models_alone_and_recordings_alone_run(brought, faces, tmp_path):
    alone = run_study(study(brought, recording={"source": "none"}), out=tmp_path / "models", n_jobs=1)
    assert "fits" not in alone.tables
    faces.table.to_csv(tmp_path / "faces.csv", index_label="stimulus_id")
    recording = simulate_patches(faces, ("AL", "AM"), 12, 2, rng=np.random.default_rng(1))
    write_recording(recording, tmp_path / "r.nc")
    given = {"stimuli": {"source": str(tmp_path / "faces.csv")}, "recording": {"source": str(tmp_path / "r.nc")}}
    found = run_study({**given, "comparison": {"n_splits": 3}}, out=tmp_path / "recording", n_jobs=1)
    assert found.tables["viewpoint_patches_summary"]["region"].tolist() == ["AL", "AM"]
    assert found.tables["ceilings"]["n_neurons"].tolist() == [12, 12]
    for sentence, region in zip(summary_sentences(found.tables, {}), ("AL", "AM"), strict=True):
        reliability = found.tables["ceilings"].set_index("region").loc[region, "ceiling_lower"]
        assert sentence.startswith(f"{region}: ")
        assert f"reliability over 12 neurons {reliability:.2f}" in sentence


def test_networks_and_brought_rdms_stand_beside_each_other(faces, small_study, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", r=rng.random((2, 435)), stimulus_id=np.array(faces.ids))
    text = small_study.read_text().replace("[recording]", '[[models]]\nname = "mine"\nrdms = "mine.npz"\n\n[recording]')
    small_study.write_text(text)
    run = run_study(small_study, out=tmp_path / "out", n_jobs=1)
    fits = run.tables["fits"]
    assert fits.groupby("model", sort=False).size().to_dict() == {"cnn-small": 6, "mine": 6}
    assert fits["resample"].unique().tolist() == ["identity+neuron"]


def test_patches_that_are_simulated_from_images_have_them(faces, tmp_path):
    rng = np.random.default_rng(0)
    write_stimuli(faces, tmp_path / "set")
    np.savez(tmp_path / "mine.npz", r=rng.random((2, 435)), stimulus_id=np.array(faces.ids))
    given = {
        "stimuli": {"source": str(tmp_path / "set" / "stimulus_set.csv")},
        "models": [{"rdms": str(tmp_path / "mine.npz")}],
        "recording": {"n_neurons": 10, "n_repetitions": 2, "regions": ["AL"]},
        "comparison": {"n_draws": 50, "n_splits": 2},
    }
    run = run_study(given, out=tmp_path / "out", n_jobs=1)
    assert run.tables["fits"]["simulated"].all()
    (tmp_path / "set" / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError):
        plan_study(given)
    given["recording"]["simulation"] = "parametric"
    plan_study(given)


def test_rdms_that_are_called_alike_are_refused(brought):
    models = [{"rdms": "models.npz", "names": "a"}, {"rdms": "models.npz", "names": "b"}]
    with pytest.raises(InputError, match=r"models, brought, seed 0 has two layers of the same layer_index \(0\)"):
        plan_study(study(brought, models=models))
    plan_study(study(brought, models=[{**model, "name": model["names"]} for model in models]))
    apart = {name: value for name, value in STUDY["recording"].items() if name != "average"}
    with pytest.raises(InputError, match=r"several RDMs of region 'IT' of subject 'M1', .* \(recording.average\)"):
        plan_study(study(brought, recording=apart))


@pytest.mark.real_data
def test_the_92_objects_run_from_the_authors_matlab_files(real_data, tmp_path):
    folder = real_data / "kriegeskorte92"
    run = run_study(
        {
            "stimuli": {"source": str(folder / "stimulus_set.csv")},
            "models": [{"name": "models", "rdms": str(folder / "92_modelRDMs.mat")}],
            "recording": {
                "rdms": str(folder / "Kriegeskorte_Neuron2008_supplementalData.mat"),
                "variable": "RDMs_mIT_hIT_fig1",
            },
            "comparison": {"n_draws": 50},
        },
        out=tmp_path / "out",
        n_jobs=1,
    )
    fits = run.tables["fits"].set_index(["region", "layer"])["fit"]
    assert fits["mIT_674neurons", "monkeyIT"] == pytest.approx(1)
    assert fits["mIT_674neurons", "animacy"] == pytest.approx(0.4418, abs=1e-4)


def test_a_layer_and_its_pooled_map_are_brought_together(faces, tmp_path):
    network = load_model("cnn-small")
    rdms = compute_model_rdms(network, faces, ["pool2", "avgpool(pool2)"])
    assert rdm_table(rdms)["layer_index"].nunique() == 1
    write_rdms(rdms, tmp_path / "mine.hdf5")
    faces.table.to_csv(tmp_path / "set.csv", index_label="stimulus_id")
    plan = plan_study(study(tmp_path, models=[{"rdms": "mine.hdf5"}], recording={"source": "none"}))
    assert rdm_table(plan.layers[0])["layer"].tolist() == ["pool2", "avgpool(pool2)"]
