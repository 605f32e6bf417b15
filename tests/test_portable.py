"""Every folder of tests runs on other kernels, or says why its subject is not numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import portable

HERE = Path(__file__).resolve().parent


def test_every_folder_of_tests_is_numeric_or_says_what_else_it_is():
    folders = {path.parent.relative_to(HERE).parts[0] for path in HERE.glob("*/**/test_*.py")}
    assert folders <= {*portable.NUMERIC, *portable.OTHERS}
    assert not set(portable.NUMERIC) & set(portable.OTHERS)
    assert all((HERE / room).is_dir() for room in portable.NUMERIC)


@pytest.mark.skipif(not portable.processor_flags(), reason="only Linux says what the processor has")
def test_a_kernel_that_is_named_is_the_one_that_runs():
    kernel = next(kernel for kernel in portable.KERNELS if kernel.name == "Sandybridge")
    if not kernel.needs <= portable.processor_flags():
        pytest.skip("this processor cannot run the kernels of a Sandy Bridge")
    found = portable.probe(portable.environment_of(kernel, 1))
    assert found["runs"] == [["Sandybridge", 1]]


def test_the_command_explains_itself():
    said = subprocess.check_output([sys.executable, "-m", "tests.portable", "--help"], text=True, cwd=HERE.parent)
    assert "hangs on no rounding of this machine" in said
