"""Columns with other names: messages say what to write, and what they say works as it is."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from neural_data import InputError, read_recording, read_stimuli
from neural_data.column_names import likely_roles, roles_in_words

STIMULI = pd.DataFrame(
    {"img": ["a0", "a1", "a2", "b0", "b1", "b2"], "person": [*"aaabbb"], "yaw": [-90, 0, 90, -90, 0, 90]}
)
LONG = pd.DataFrame(
    [("Bert", "AL" if cell < 2 else "ML", f"n{cell}", img, rep, cell + rep + len(img) / 4)
     for cell in range(4) for img in STIMULI["img"] for rep in range(2)],
    columns=["monkey", "patch", "cell", "img", "rep", "spk_rate"],
)  # fmt: skip


@pytest.fixture
def lab(tmp_path):
    STIMULI.to_csv(tmp_path / "faces.csv", index=False)
    LONG.to_csv(tmp_path / "rates.csv", index=False)
    return tmp_path


def said_columns(error: pytest.ExceptionInfo) -> dict[str, str]:
    """The mapping that a message says to give."""
    return dict(re.findall(r"'(\w+)': '([^']+)'", re.search(r"columns={(.*?)}", str(error.value))[1]))


def test_one_message_says_all_that_a_long_table_needs(lab):
    with pytest.raises(InputError) as refused:
        read_recording(lab / "rates.csv")
    recording = read_recording(lab / "rates.csv", columns=said_columns(refused))
    assert dict(recording.sizes) == {"presentation": 12, "neuroid": 4}
    assert recording["region"].values.tolist() == ["AL", "AL", "ML", "ML"]
    assert set(recording["subject"].values) == {"Bert"}
    one = recording.sel(neuroid=recording["neuroid_id"] == "n3").values[:, 0]
    np.testing.assert_allclose(one, 3 + recording["repetition"].values + 0.5)


def test_one_message_says_all_that_a_stimulus_set_needs(lab):
    with pytest.raises(InputError) as refused:
        read_stimuli(lab / "faces.csv", with_images=False)
    found = read_stimuli(lab / "faces.csv", columns=said_columns(refused), with_images=False)
    assert found.ids == STIMULI["img"].tolist()
    assert found.table["identity"].tolist() == STIMULI["person"].tolist()
    assert found.table["azimuth_deg"].tolist() == STIMULI["yaw"].tolist()
    assert "person" not in found.table


def test_one_column_can_be_the_id_and_the_file(tmp_path):
    pd.DataFrame({"img": ["a.png", "b.png"]}).to_csv(tmp_path / "set.csv", index=False)
    columns = {"stimulus_id": "img", "filename": "img"}
    found = read_stimuli(tmp_path / "set.csv", columns=columns, with_images=False)
    assert found.ids == found.table["filename"].tolist() == ["a.png", "b.png"]


def test_a_column_called_like_a_role_can_have_a_second_one_and_gives_way_to_another(tmp_path):
    pd.DataFrame({"stimulus_id": ["a", "b"], "category": ["x", "y"], "identity": ["1", "2"]}).to_csv(
        tmp_path / "set.csv", index=False
    )

    def read(**columns):
        return read_stimuli(tmp_path / "set.csv", columns=columns, with_images=False).table.reset_index()

    found = read(identity="stimulus_id")
    assert found[["stimulus_id", "identity", "category"]].to_numpy().tolist() == [["a", "a", "x"], ["b", "b", "y"]]
    found = read(identity="category", category="identity")
    assert found[["identity", "category"]].to_numpy().tolist() == [["x", "1"], ["y", "2"]]


@pytest.mark.parametrize(
    ("columns", "match"),
    [({"identity": "persn"}, "no column 'persn': did you mean 'person'"), ({"person": "person"}, "the role 'person'")],
)
def test_roles_and_columns_that_are_not_there_are_refused(lab, columns, match):
    with pytest.raises(InputError, match=match):
        read_stimuli(lab / "faces.csv", columns={"stimulus_id": "img"} | columns, with_images=False)


def test_views_under_another_name_are_not_passed_over_in_silence(lab, caplog):
    read_stimuli(lab / "faces.csv", columns={"stimulus_id": "img"}, with_images=False)
    (said,) = caplog.messages
    assert "all stimuli count as one view" in said
    assert "columns={'identity': 'person', 'azimuth_deg': 'yaw'}" in said
    caplog.clear()
    STIMULI.drop(columns=["person", "yaw"]).assign(person=STIMULI["img"]).to_csv(lab / "plain.csv", index=False)
    read_stimuli(lab / "plain.csv", columns={"stimulus_id": "img"}, with_images=False)
    assert not caplog.messages, "a column in which no value recurs says no identity"


def test_a_long_table_is_not_read_as_one_neuron(lab):
    with pytest.raises(InputError, match=r"'cell' names 4 neurons or the like.*'neuroid_id': 'cell'"):
        read_recording(lab / "rates.csv", columns={"response": "spk_rate", "stimulus_id": "img"}, region="AL")


def test_likely_roles_go_by_words_and_take_each_column_once():
    assert likely_roles(["imageFile", "img"], ["stimulus_id", "filename"]) == {
        "stimulus_id": "img",
        "filename": "imageFile",
    }
    assert likely_roles(["operator", "corner"], ["repetition", "stimulus_id", "azimuth_deg"]) == {}


def test_words_for_the_shell_are_quoted_where_they_must_be():
    said = roles_in_words(["stimulus_id", "region"], ["image name", "x"])
    assert said.endswith("(--column 'stimulus_id=image name' --column region=...)")
    assert "'region': ..." in said
