"""Tables as spreadsheets and programs write them: read as they stand, or refused with a way out."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from neural_data import InputError, read_recording
from neural_data.checking import check_recording

RATES = np.random.default_rng(0).poisson(8, (6, 5)).astype(float)


def wide(heads, **labels):
    table = pd.DataFrame(RATES, columns=heads)
    for place, (name, values) in enumerate(labels.items()):
        table.insert(place, name, values)
    return table


def written(folder, content, name="r.csv", encoding="utf-8", **options):
    path = folder / name
    if isinstance(content, pd.DataFrame):
        content = content.to_csv(index=options.pop("index", False), **options)
    path.write_text(content, encoding=encoding, newline="")
    return path


IDS = [f"s{i}" for i in range(6)]
UNITS = [f"u{i}" for i in range(5)]
HEADED = [f"AL:u{i}" for i in range(5)]


@pytest.mark.parametrize("first", [0, 1])
def test_row_numbers_without_a_head_are_no_neuron(tmp_path, first):
    table = wide(UNITS, stimulus_id=IDS)
    table.index = table.index + first
    recording = read_recording(written(tmp_path, table, index=True), region="AL")
    np.testing.assert_array_equal(recording.values, RATES)
    assert "row numbers" in recording.attrs["assumed"]


@pytest.mark.parametrize(
    ("heads", "labels", "message"),
    [
        (UNITS, {"trial": range(6)}, r"'trial' could be neurons or something else; .*columns={'response': 'u\*'}"),
        (UNITS, {"onset_ms": np.arange(6) * 1500.0, "block": 1}, "'onset_ms', 'block' could be neurons"),
        (UNITS, {"index": range(6)}, "'index' could be neurons"),
        ([f"trial{i}" for i in range(5)], {}, "'trial0', .* could be neurons"),
        ([f"{i}" for i in range(5)], {}, "'0', '1', .* could be neurons"),
        (["a1", "a2", "b1", "b2", "b3"], {}, "could be neurons"),
        (["unit", "spike_count", "u3", "u4", "u5"], {}, r"or for a long table columns={'neuroid_id'"),
    ],
)
def test_columns_that_may_be_neurons_or_not_are_refused(tmp_path, heads, labels, message):
    with pytest.raises(InputError, match=message):
        read_recording(written(tmp_path, wide(heads, stimulus_id=IDS, **labels)), region="AL")


def test_bookkeeping_beside_headed_neurons_is_a_label(tmp_path):
    path = written(tmp_path, wide(HEADED, stimulus_id=IDS, trial=range(6), note=list("abcdef")))
    recording = read_recording(path)
    assert recording["neuroid_id"].values.tolist() == UNITS
    assert recording["trial"].values.tolist() == list(range(6))
    assert "labels, no responses: trial, note" in check_recording(path).to_text()


def test_a_neuron_that_lost_its_region_is_refused(tmp_path):
    for head in ("u4", "AL_u4"):
        with pytest.raises(InputError, match=f"column '{head}' names no region"):
            read_recording(written(tmp_path, wide([*HEADED[:4], head], stimulus_id=IDS)))


def test_neurons_are_named_by_a_pattern_or_a_list(tmp_path):
    path = written(tmp_path, wide(["a", "b", "n1", "n2", "n3"], stimulus_id=IDS, trial=range(6)))
    by_pattern = read_recording(path, region="AL", columns={"response": "n*"})
    assert by_pattern["neuroid_id"].values.tolist() == ["n1", "n2", "n3"]
    np.testing.assert_array_equal(by_pattern.values, RATES[:, 2:])
    listed = read_recording(path, region="AL", columns={"response": ["a", "n3"]})
    np.testing.assert_array_equal(listed.values, RATES[:, [0, 4]])
    with pytest.raises(InputError, match=r"no column is called q\*"):
        read_recording(path, region="AL", columns={"response": "q*"})


def long(**names):
    rows = [(s, u, "AL", RATES[i, j]) for i, s in enumerate(IDS) for j, u in enumerate(UNITS)]
    return pd.DataFrame(rows, columns=["stimulus_id", "neuroid_id", "region", "response"]).rename(columns=names)


def test_a_column_map_names_the_roles_of_a_long_table(tmp_path):
    names = {"stimulus_id": "image", "neuroid_id": "unit", "region": "area", "response": "spike_count"}
    path = written(tmp_path, long(**names))
    recording = read_recording(path, columns=names)
    np.testing.assert_array_equal(recording.values, RATES)
    assert recording["neuroid_id"].values.tolist() == UNITS
    with pytest.raises(InputError, match="did you mean 'neuroid_id'"):
        read_recording(path, columns={"neuroid": "unit"})
    with pytest.raises(
        InputError, match=r"no column 'spike_counts': did you mean 'spike_count'\? \(wanted as response"
    ):
        read_recording(path, columns={**names, "response": "spike_counts"})


def test_half_a_long_table_is_no_wide_one(tmp_path):
    path = written(tmp_path, long(neuroid_id="unit"))
    with pytest.raises(InputError, match=r"without neuroid_id; say which .*--column neuroid_id=NAME.*unit"):
        read_recording(path, region="AL")
    path = written(tmp_path, long(response="rate"))
    with pytest.raises(InputError, match=r"without response; .*--column response=NAME"):
        read_recording(path, region="AL")


@pytest.mark.parametrize("mark", ["", "NA", "NaN", "nan", "N/A", "null"])
def test_a_missing_response_keeps_its_neuron(tmp_path, mark):
    table = wide(HEADED, stimulus_id=[*IDS[:3], *IDS[:3]])
    table.iloc[2, 3] = np.nan
    recording = read_recording(written(tmp_path, table, na_rep=mark), missing="keep")
    assert recording.sizes["neuroid"] == 5
    assert np.argwhere(np.isnan(recording.values)).tolist() == [[2, 2]]


def test_a_text_in_a_neurons_column_is_named_with_its_line(tmp_path):
    table = wide(HEADED, stimulus_id=IDS).astype(object)
    table.iloc[2, 3] = "lost"
    with pytest.raises(InputError, match="line 4, AL:u2 is 'lost'; a number is needed"):
        read_recording(written(tmp_path, table))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stimulus_id,AL:x,AL:x\n1,2,3\n2,3,4\n", "2 columns are called 'AL:x'"),
        ("stimulus_id,AL:x,AL:y\n1,2,3,4\n2,3,4,5\n", "line 2 has 4 cells and the header 3"),
        ("stimulus_id,AL:x,AL:y\n1,2,3\n2,3\n", "line 3 has 2 cells and the header 3"),
        ("stimulus_id,AL:x,\n1,2,3\n2,3,7\n", "column 3 has no name and is not a row number"),
    ],
)
def test_columns_never_shift(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_recording(written(tmp_path, text))


def test_a_trailing_comma_and_empty_rows_do_no_harm(tmp_path):
    text = "stimulus_id,AL:x,AL:y\n1,2,3,\n2,3,4,\n,,\n\n3,5,6,\n"
    recording = read_recording(written(tmp_path, text))
    assert recording["stimulus_id"].values.tolist() == ["1", "2", "3"]
    np.testing.assert_array_equal(recording.values, [[2, 3], [3, 4], [5, 6]])


@pytest.mark.parametrize("named", [False, True])
def test_ids_are_text_as_they_stand(tmp_path, named):
    ids = ["001", "1", "01", "20190315123045", "20190315123046", "1.0"]
    name = "image" if named else "stimulus_id"
    path = written(tmp_path, wide(HEADED, **{name: ids}))
    recording = read_recording(path, stimulus="image" if named else None)
    assert recording["stimulus_id"].values.tolist() == ids


def test_ids_that_a_spreadsheet_rounded_are_refused(tmp_path):
    path = written(tmp_path, wide(HEADED, stimulus_id=["2.01903E+13", *IDS[1:]]))
    with pytest.raises(InputError, match="a number that a spreadsheet has rounded"):
        read_recording(path)


@pytest.mark.parametrize("dtype", [np.int64, np.float64, object])
def test_numbers_as_ids_in_parquet_are_written_whole(tmp_path, dtype):
    ids = np.array([20190315123045 + i for i in range(6)])
    wide(HEADED, stimulus_id=ids.astype(str) if dtype is object else ids.astype(dtype)).to_parquet(
        tmp_path / "r.parquet"
    )
    assert read_recording(tmp_path / "r.parquet")["stimulus_id"].values.tolist() == ids.astype(str).tolist()


ENCODED = "stimulus_id,identity,AL:x,AL:y\nJosé 1,José,1.5,2\nJosé 2,José,2.5,3\nZoë,Zoë,4,5\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters_of_spreadsheets(tmp_path, encoding, delimiter):
    path = written(tmp_path, ENCODED.replace(",", delimiter).replace("\n", "\r\n"), encoding=encoding)
    recording = read_recording(path)
    assert recording["identity"].values.tolist() == ["José", "José", "Zoë"]
    np.testing.assert_array_equal(recording.values, [[1.5, 2], [2.5, 3], [4, 5]])
    assert ("Windows-1252" in recording.attrs["assumed"]) == (encoding == "cp1252")


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1,5", "0,25", "12"], [1.5, 0.25, 12]),
        (["1.234,5", "12,25", "1.000"], [1234.5, 12.25, 1000]),
        (["1 234,5", "2", "3"], [1234.5, 2, 3]),
        (["1\u202f234,5", "2", "3"], [1234.5, 2, 3]),
        (["1,5E+03", "2,25e-1", "3"], [1500, 0.225, 3]),
        (["1,234.5", "1,000", "2.5"], [1234.5, 1000, 2.5]),
        (["1,234,567", "1,000", "2"], [1234567, 1000, 2]),
        (["1'234.5", "2", "3"], [1234.5, 2, 3]),
        (["0,125", "1,234", "2"], [0.125, 1.234, 2]),
    ],
)
def test_decimal_commas_and_thousands_marks(tmp_path, cells, values):
    rows = "\n".join(f's{i};"{cell}"' for i, cell in enumerate(cells))
    path = written(tmp_path, f"stimulus_id;AL:x\n{rows}\n")
    np.testing.assert_array_equal(read_recording(path).values[:, 0], values)


@pytest.mark.parametrize("cell", ["1.234", "1,234"])
def test_a_number_that_may_be_two_is_refused_until_it_is_said(tmp_path, cell):
    path = written(tmp_path, f"stimulus_id;AL:x\na;{cell}\nb;2\nc;3\n")
    with pytest.raises(InputError, match=f"'{cell}' can be 1.234 or 1234.*--decimal"):
        read_recording(path)
    whole, fraction = (",", ".") if "." in cell else (".", ",")
    assert read_recording(path, decimal=whole).values[0, 0] == 1234
    assert read_recording(path, decimal=fraction).values[0, 0] == 1.234


def test_points_and_commas_in_one_file_are_refused(tmp_path):
    path = written(tmp_path, "stimulus_id;AL:x\na;1.5\nb;2,5\nc;3\n")
    with pytest.raises(InputError, match="line 3, AL:x is '2,5'; a number is needed"):
        read_recording(path)


def test_identical_trials_are_warned_of(tmp_path, caplog):
    table = wide(HEADED, stimulus_id=IDS)
    path = written(tmp_path, pd.concat([table, table]))
    found = check_recording(path)
    assert any("6 of 12 presentations repeat another" in problem.message for problem in found.problems)
    assert "6 presentations have exactly the responses of another" in caplog.text
    assert not any("repeat" in p.message for p in check_recording(written(tmp_path, table)).problems)


@pytest.mark.parametrize(
    "attrs",
    [
        {"attrs": {}, "neuroids": 3},
        {"attrs": {}, "neuroids": {"region": ["AL"], "neuroid_id": ["x", "y"]}},
        {"attrs": {}, "neuroids": {"region": [1], "neuroid_id": ["x"]}},
        {"attrs": {"units": {}}},
        {"attrs": {"simultaneous": "maybe"}},
        {"attrs": []},
        [],
    ],
)
def test_attributes_of_a_wrong_kind_are_one_message(tmp_path, attrs):
    table = wide(HEADED, stimulus_id=IDS).assign(attrs=[json.dumps(attrs), *[""] * 5])
    with pytest.raises(InputError, match="attr"):
        read_recording(written(tmp_path, table))
