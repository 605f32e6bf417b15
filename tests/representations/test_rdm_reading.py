"""RDMs are read from whatever people keep them in: the same numbers, under the right names, or one clear refusal."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
from rsatoolbox.rdm import RDMs
from scipy.spatial.distance import squareform

from neural_data import InputError, StimulusSet
from neurocompare import compare_rdms, read_rdms

N = 6
IDS = [f"face {i}" for i in range(N)]
VECTORS = np.random.default_rng(0).random((2, N * (N - 1) // 2))
SQUARES = np.stack([squareform(vector) for vector in VECTORS])


def npy(folder):
    np.save(folder / "r.npy", SQUARES)
    return folder / "r.npy", {"stimuli": IDS}


def npy_of_vectors(folder):
    np.save(folder / "r.npy", VECTORS)
    return folder / "r.npy", {"stimuli": IDS}


def npz(folder):
    np.savez_compressed(folder / "r.npz", rdms=SQUARES, stimulus_id=np.array(IDS))
    return folder / "r.npz", {}


def matlab_stack(folder):
    scipy.io.savemat(folder / "r.mat", {"R": np.moveaxis(SQUARES, 0, -1), "weights": np.ones(3)})
    return folder / "r.mat", {"stimuli": IDS}


def matlab_structs(folder):
    structs = np.array([("a", SQUARES[0]), ("b", SQUARES[1])], dtype=[("name", object), ("RDM", object)])
    scipy.io.savemat(folder / "r.mat", {"models": structs, "stim": np.array(IDS, dtype=object)})
    return folder / "r.mat", {"match_by": "stim"}


def matlab_vectors(folder):
    structs = np.array(
        [("a", VECTORS[0], [0.1, 0.2, 0.3]), ("b", VECTORS[1], [0, 0, 0])],
        dtype=[("name", object), ("RDM", object), ("color", object)],
    )
    scipy.io.savemat(folder / "r.mat", {"models": structs, "other": np.random.default_rng(1).random((10, 2))})
    return folder / "r.mat", {"stimuli": IDS, "variable": "models"}


def plain_hdf5(folder):
    with h5py.File(folder / "r.h5", "w") as file:
        file["deep/rdms"] = SQUARES
        file["names"] = IDS
    return folder / "r.h5", {"match_by": "names"}


def saved_by_rsatoolbox(folder):
    RDMs(VECTORS, "euclidean", pattern_descriptors={"conds": IDS}, rdm_descriptors={"roi": ["a", "b"]}).save(
        str(folder / "r.hdf5")
    )
    return folder / "r.hdf5", {}


def in_python(folder):
    return SQUARES, {"stimuli": IDS}


@pytest.mark.parametrize(
    "make",
    [
        npy,
        npy_of_vectors,
        npz,
        matlab_stack,
        matlab_structs,
        matlab_vectors,
        plain_hdf5,
        saved_by_rsatoolbox,
        in_python,
    ],
    ids=lambda make: make.__name__,
)
def test_every_kind_of_file_gives_the_same_rdms(tmp_path, make):
    source, options = make(tmp_path)
    rdms = read_rdms(source, **options)
    np.testing.assert_array_equal(rdms.dissimilarities, VECTORS)
    assert list(rdms.pattern_descriptors["stimulus_id"]) == IDS


SQUARE = SQUARES[0]
HEADED = pd.DataFrame(SQUARE, index=IDS, columns=IDS)


@pytest.mark.parametrize(
    ("write", "options"),
    [
        (lambda p: HEADED.to_csv(p), {}),
        (lambda p: HEADED.to_csv(p, index=False), {}),
        (lambda p: HEADED.to_csv(p, index=False, header=False), {"stimuli": IDS}),
        (lambda p: HEADED.iloc[::-1].to_csv(p), {}),
        (lambda p: HEADED.to_csv(p, sep=";", decimal=","), {}),
        (lambda p: HEADED.where(np.triu(np.ones((N, N), bool), 1)).to_csv(p), {}),
        (lambda p: HEADED.where(np.tril(np.ones((N, N), bool), -1)).to_csv(p), {}),
    ],
)
def test_square_tables_with_and_without_heads(tmp_path, write, options):
    write(tmp_path / "r.csv")
    rdms = read_rdms(tmp_path / "r.csv", **options)
    np.testing.assert_allclose(rdms.get_matrices()[0], SQUARE, rtol=1e-15)
    assert list(rdms.pattern_descriptors["stimulus_id"]) == IDS


def long_table(pairs):
    pairs = list(pairs)
    rows = [(IDS[i], IDS[j], name, SQUARES[k][i, j]) for k, name in enumerate("ab") for i, j in pairs]
    return pd.DataFrame(rows, columns=["stimulus_1", "stimulus_2", "name", "dissimilarity"])


def test_long_tables(tmp_path):
    long_table(zip(*np.triu_indices(N, 1), strict=True)).to_csv(tmp_path / "r.csv", index=False)
    rdms = read_rdms(tmp_path / "r.csv")
    np.testing.assert_allclose(rdms.dissimilarities, VECTORS)
    assert rdms.rdm_descriptors["name"] == ["a", "b"]
    lacking = long_table([(i, j) for i, j in zip(*np.triu_indices(N, 1), strict=True) if (i, j) != (1, 2)])
    lacking.to_csv(tmp_path / "r.csv", index=False)
    assert np.isnan(read_rdms(tmp_path / "r.csv").get_matrices()[:, 1, 2]).all(), "a pair that is not listed is missing"
    doubled = pd.concat([long_table([(0, 1), (1, 2), (0, 2)]), long_table([(0, 1)]).assign(dissimilarity=9.0)])
    doubled.to_csv(tmp_path / "r.csv", index=False)
    with pytest.raises(InputError, match="line 8 gives another dissimilarity of 'face 0' and 'face 1'"):
        read_rdms(tmp_path / "r.csv")


def similarities(square):
    return 1 - square / square.max()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (similarities(SQUARE), "similarities, it seems; give dissimilarities, such as 1 - r"),
        (SQUARE + np.eye(N) * 3, "has 3 on its diagonal"),
        (SQUARE + np.triu(np.ones((N, N)), 1), "is not symmetric: triangles differ by up to 1"),
        (np.where(SQUARE > 0.9, np.inf, SQUARE), "infinite"),
        (np.ones((4, 9)), "4 x 9; RDMs are square matrices"),
        (np.ones((2, 2)), "2 x 2"),
        (np.array(["a"] * 6), "no numbers"),
    ],
)
def test_what_is_no_rdm_is_refused(tmp_path, values, message):
    np.save(tmp_path / "r.npy", values)
    for source in (values, tmp_path / "r.npy"):
        with pytest.raises(InputError, match=message):
            read_rdms(source, stimuli=IDS)


def test_float32_triangles_that_differ_by_rounding_are_one(tmp_path):
    noisy = SQUARE.astype(np.float32)
    noisy[0, 1] *= 1 + 2e-7
    np.testing.assert_allclose(read_rdms(noisy, stimuli=IDS).get_matrices()[0], SQUARE, rtol=1e-6)


def test_hostile_and_wrong_files_are_one_message(tmp_path):
    path = tmp_path / "r.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="not readable as a NumPy array"):
        read_rdms(path, stimuli=IDS)
    path.write_bytes(pickle.dumps([1]))
    with pytest.raises(InputError, match=r"is not a file of RDMs|not readable"):
        read_rdms(path, stimuli=IDS)
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (60000, 60000), }"
    path.write_bytes(header.ljust(127) + b"\n" + bytes(100))
    with pytest.raises(InputError, match=r"claims|not readable"):
        read_rdms(path, stimuli=IDS)
    with pytest.raises(InputError, match="no such file of RDMs"):
        read_rdms(tmp_path / "none.mat")


def test_several_variables_are_asked_about_by_name(tmp_path):
    scipy.io.savemat(tmp_path / "r.mat", {"a": SQUARES[0], "b": SQUARES[1], "c": np.ones(4)})
    with pytest.raises(InputError, match=r"2 variables may be RDMs; name one \(variable=...\): a, b"):
        read_rdms(tmp_path / "r.mat", stimuli=IDS)
    np.testing.assert_array_equal(
        read_rdms(tmp_path / "r.mat", variable="b", stimuli=IDS).dissimilarities[0], VECTORS[1]
    )
    with pytest.raises(InputError, match="no variable 'd'"):
        read_rdms(tmp_path / "r.mat", variable="d", stimuli=IDS)


def stimulus_set(ids=None, **columns):
    table = pd.DataFrame({"filename": "", **columns}, index=pd.Index(ids or IDS, name="stimulus_id"))
    return StimulusSet(table, pixels=np.zeros((len(table), 2, 2), np.uint8))


def test_patterns_take_the_ids_of_a_set_and_what_it_knows(tmp_path):
    shown = stimulus_set(code=[f"c{i}" for i in range(N)], animal=range(N)).take(np.arange(N)[::-1])
    by_file = RDMs(VECTORS, pattern_descriptors={"conds": [f"images/{i}.png" for i in IDS]})
    named = read_rdms(by_file, stimuli=shown)
    assert list(named.pattern_descriptors["stimulus_id"]) == IDS, "the order of the RDMs is kept"
    assert list(named.pattern_descriptors["animal"]) == list(range(N))
    by_code = RDMs(VECTORS, pattern_descriptors={"code": [f"c{i}" for i in range(N)], "other": IDS})
    assert list(read_rdms(by_code, stimuli=shown, match_by="code").pattern_descriptors["stimulus_id"]) == IDS
    with pytest.raises(InputError, match="6 of 6 patterns are not in the stimulus set"):
        read_rdms(RDMs(VECTORS, pattern_descriptors={"conds": list("uvwxyz")}), stimuli=shown)


@pytest.mark.parametrize(
    ("patterns", "options", "message"),
    [
        ({}, {}, "its patterns have no names; give their stimuli in order"),
        ({}, {"stimuli": IDS[:4]}, "its 6 patterns have no names, but 4 stimuli are given"),
        ({"a": list("uvwxyz"), "b": list("abcdef")}, {}, "which descriptor identifies the stimuli.*a, b"),
        ({"a": list("uvwxyy")}, {"match_by": "a"}, "the pattern 'y' occurs twice"),
        ({"a": list("uvwxyz")}, {"match_by": "aa"}, "no pattern descriptor 'aa'"),
    ],
)
def test_patterns_without_a_name_are_refused(patterns, options, message):
    with pytest.raises(InputError, match=message):
        read_rdms(RDMs(VECTORS, pattern_descriptors=patterns), **options)


def test_rdms_are_chosen_described_and_averaged_by_their_names():
    names = [f"hIT | {s} | Session: {k}" for k in (1, 2) for s in ("BE", "KO")]
    vectors = np.concatenate([VECTORS, VECTORS + 1])
    four = RDMs(vectors, pattern_descriptors={"stimulus_id": IDS}, rdm_descriptors={"name": names})
    pattern = "{region} | {subject} | Session: {session}"
    rdms = read_rdms(four, name_pattern=pattern, average="session")
    np.testing.assert_allclose(rdms.dissimilarities, VECTORS + 0.5)
    assert rdms.rdm_descriptors["subject"] == ["BE", "KO"]
    assert rdms.rdm_descriptors["region"] == ["hIT", "hIT"]
    one = read_rdms(four, names=names[2], kind="recording")
    np.testing.assert_array_equal(one.dissimilarities, vectors[2:3])
    assert one.rdm_descriptors["region"] == [names[2]]
    for options, message in (
        ({"names": "hIT | BE | Session: 3"}, "did you mean 'hIT | BE | Session"),
        ({"name_pattern": "{region}_{x}"}, "does not fit"),
        ({"average": "sessions"}, "no RDM descriptor 'sessions'"),
        ({"kind": "models"}, "did you mean 'model'"),
    ):
        with pytest.raises(InputError, match=message.replace("|", r"\|")):
            read_rdms(four, **options)


def test_fits_are_matched_by_any_descriptor():
    order = np.array([3, 1, 0, 5, 4, 2])
    first = RDMs(VECTORS, pattern_descriptors={"conds": IDS})
    second = RDMs(
        squareform(SQUARES[0][np.ix_(order, order)])[None], pattern_descriptors={"conds": [IDS[i] for i in order]}
    )
    assert compare_rdms(first, second, match_by="conds")[0, 0] == pytest.approx(1)
    with pytest.raises(InputError, match="did you mean 'conds'"):
        compare_rdms(first, second, match_by="cond")
    with_endings = RDMs(VECTORS, pattern_descriptors={"conds": [f"{i}.png" for i in IDS]})
    assert compare_rdms(first, with_endings, match_by="conds")[0, 0] == pytest.approx(1)
