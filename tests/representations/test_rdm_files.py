"""RDMs whose names are of any script come back from rsatoolbox's own reader."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import load_rdm

from neural_data import InputError
from neurocompare.representations.rdm_files import write_rdms
from neurocompare.representations.rdms import build_rdms

ODD = ["José", "Ж", "顔", "😀", "$x^2$", "50 %", "a & b", "<b>", "=1+1", "x" * 300, "one\ntwo", "", " blank "]


def rdms_with(names: list[str], rng):
    n = len(names)
    matrices = np.abs(rng.standard_normal((2, n, n)))
    patterns = pd.DataFrame(
        {"stimulus_id": [f"s{i}" for i in range(n)], "identity": names, "azimuth_deg": np.linspace(-90, 90, n)}
    )
    return build_rdms(
        (matrices + matrices.transpose(0, 2, 1)) * (1 - np.eye(n)),
        patterns=patterns,
        rdms={"layer": ["conv1", "fc1"], "regime": [names[0], names[1]], "seed": [0, 1]},
        dissimilarity="correlation",
    )


def texts_of(descriptors: dict) -> dict:
    return {name: [str(value) for value in values] for name, values in descriptors.items()}


@pytest.mark.parametrize("names", [ODD, ["Jose", "b", "c"]], ids=["odd", "plain"])
def test_names_come_back_as_they_were(tmp_path, rng, names):
    rdms = rdms_with(names, rng)
    write_rdms(rdms, tmp_path / "a.hdf5")
    found = load_rdm(str(tmp_path / "a.hdf5"))
    np.testing.assert_array_equal(found.dissimilarities, rdms.dissimilarities)
    assert found.dissimilarity_measure == rdms.dissimilarity_measure
    for part in ("pattern_descriptors", "rdm_descriptors"):
        assert texts_of(getattr(found, part)) == texts_of(getattr(rdms, part))
    assert found.subset_pattern("identity", names[:2]).n_cond == 2
    write_rdms(rdms, tmp_path / "b.hdf5")
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()


def test_plain_names_are_written_by_rsatoolbox(tmp_path, rng):
    rdms = rdms_with(["a", "b", "c"], rng)
    write_rdms(rdms, tmp_path / "a.hdf5")
    rdms.save(str(tmp_path / "b.hdf5"))
    assert (tmp_path / "a.hdf5").read_bytes() == (tmp_path / "b.hdf5").read_bytes()


def test_there_may_be_thousands_of_names(tmp_path):
    names = [f"é{i}" for i in range(5000)]
    rdms = build_rdms(
        np.zeros((1, 2, 2)),
        patterns=pd.DataFrame({"stimulus_id": ["a", "b"]}),
        rdms={"layer": ["x"]},
        dissimilarity="correlation",
    )
    rdms.descriptors["neurons"] = names
    write_rdms(rdms, tmp_path / "a.hdf5")
    assert list(load_rdm(str(tmp_path / "a.hdf5")).descriptors["neurons"]) == names


@pytest.mark.parametrize("name", ["a\0b", "torn \udce9"])
def test_what_is_no_text_is_refused(tmp_path, rng, name):
    rdms = rdms_with(["a", "b", "c"], rng)
    rdms.pattern_descriptors["identity"] = ["a", name, "c"]
    with pytest.raises(InputError, match="descriptor 'identity' holds"):
        write_rdms(rdms, tmp_path / "a.hdf5")
    assert not (tmp_path / "a.hdf5").exists()
