import subprocess
import sys

import pytest

import neurocompare.stimuli as stimuli


@pytest.mark.parametrize("name", stimuli.__all__)
def test_public_names_are_there(name):
    assert callable(getattr(stimuli, name))
    assert name in dir(stimuli)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = stimuli.nonsense


def test_importing_the_room_loads_no_renderer():
    code = "import sys, neurocompare.stimuli; print({'trimesh', 'embreex', 'joblib'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
