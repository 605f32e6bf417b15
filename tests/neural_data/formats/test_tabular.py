"""Tables as labs write them by hand: long and wide, with the mistakes that happen."""

from __future__ import annotations

import numpy as np
import pytest

from neural_data import InputError, read_recording
from neural_data.recordings import condition_means, regions_of

LONG = """stimulus_id,neuroid_id,region,response,identity
s1,n1,AL,3,a
s2,n1,AL,4.5,b
s1,n2,AM,0,a
s2,n2,AM,1,b
s2,n2,AM,3,b
"""
WIDE = """stimulus_id,identity,azimuth_deg,AL:n1,AM:n2
s1,a,-90,3,0
s2,b,90,4.5,2
"""


def table(tmp_path, text):
    (tmp_path / "r.csv").write_text(text)
    return tmp_path / "r.csv"


def test_a_long_table_written_by_hand(tmp_path):
    recording = read_recording(table(tmp_path, LONG))
    assert regions_of(recording) == ["AL", "AM"]
    assert recording.attrs["simultaneous"] == 0, "trials of different neurons are not known to be the same"
    np.testing.assert_allclose(condition_means(recording), [[3, 0], [4.5, 2]])
    assert recording["identity"].values.tolist() == ["a", "b", "b"]


def test_a_wide_table_written_by_hand(tmp_path):
    recording = read_recording(table(tmp_path, WIDE))
    np.testing.assert_allclose(recording.values, [[3, 0], [4.5, 2]])
    assert recording["region"].values.tolist() == ["AL", "AM"]
    assert recording["azimuth_deg"].values.tolist() == [-90, 90]
    plain = WIDE.replace("AL:", "").replace("AM:", "")
    with pytest.raises(InputError, match="column 'n1' names no region; head it 'REGION:n1' or give region="):
        read_recording(table(tmp_path, plain))
    assert regions_of(read_recording(table(tmp_path, plain), region="IT")) == ["IT"]


def test_numbers_that_are_ids_stay_text(tmp_path):
    text = "stimulus_id,neuroid_id,region,response\n001,01,AL,3\n002,01,AL,4\n"
    recording = read_recording(table(tmp_path, text))
    assert recording["stimulus_id"].values.tolist() == ["001", "002"]
    assert recording["neuroid_id"].values.tolist() == ["01"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LONG.replace("4.5", "high"), "line 3, response is 'high'; a number is needed"),
        (LONG.replace("4.5", ""), "1 of 4 cells .*'n1', stimulus 's2'"),
        (LONG.replace("s2,n1,AL,4.5,b\n", ""), "1 of 4 cells"),
        (LONG.replace("s2,n2,AM,3", "s2,n2,AL,3"), "neuroid_id 'n2' occurs in more than one region"),
        (LONG.replace("stimulus_id", "picture"), "no column 'stimulus_id'; columns are"),
        (LONG.replace("region", "area"), "no column 'region'"),
        (
            WIDE.replace("AL:n1", "neuron").replace("AM:n2", "other").replace("3,0", "x,y").replace("4.5,2", "z,y"),
            "neither a long table",
        ),
        ("stimulus_id,neuroid_id,region,response,repetition\ns,n,A,1,0\ns,n,A,2,0\n", "line 3 repeats the response"),
        ("stimulus_id,neuroid_id,region,response\n", "has no rows"),
        (WIDE.replace("3,0", "-3,0"), "negative"),
        ("stimulus_id,attrs,AL:n\ns,{,1\n", "column 'attrs' must hold"),
        ('a,b\n"1,2\n', "not readable as a table"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_recording(table(tmp_path, text))


def test_another_column_can_name_the_stimulus(tmp_path):
    recording = read_recording(table(tmp_path, LONG), stimulus="identity")
    assert list(dict.fromkeys(recording["stimulus_id"].values)) == ["a", "b"]
    with pytest.raises(InputError, match="no column 'identiti': did you mean 'identity'"):
        read_recording(table(tmp_path, LONG), stimulus="identiti")
