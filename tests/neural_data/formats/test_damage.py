"""Damage that ends or stops the libraries below is seen before they are asked."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from PIL import Image

from neural_data import InputError, read_recording, write_recording
from neural_data.formats.matlab import read_variables
from neural_data.formats.matlab_elements import check_elements
from neural_data.images import decode_image

VALUES = {
    "numbers": np.arange(6.0).reshape(2, 3),
    "whole numbers": np.arange(200, dtype=np.uint8),
    "complex": np.array([1 + 2j, 3 - 1j]),
    "truth": np.array([True, False]),
    "empty": np.zeros((0, 3)),
    "text": "José",
    "rows of text": np.array(["ab", "cd"]),
    "cells": np.array([np.arange(3), "x", np.array([1.5])], dtype=object),
    "struct": {"a": 1.0, "b": {"c": "deep", "d": np.array(["x", 2.0], dtype=object)}},
    "structs": np.array([(1.0, "a"), (2.0, "b")], dtype=[("n", object), ("s", object)]),
    "sparse": scipy.sparse.csc_array(np.diag([1.0, 2.0, 0.0])),
    "four sides": np.zeros((2, 1, 3, 2), dtype=np.float32),
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("case", VALUES)
def test_whole_files_of_every_class_pass(tmp_path, case, compressed):
    scipy.io.savemat(tmp_path / "v.mat", {"v": VALUES[case], "w": 1.0}, do_compression=compressed)
    check_elements(tmp_path / "v.mat")
    if case != "sparse":
        read_variables(tmp_path / "v.mat", ["v"])


def test_a_wrong_kind_of_element_is_refused_and_does_not_end_the_program(tmp_path):
    """SciPy looks the kind up in a table without asking whether it is in it."""
    scipy.io.savemat(tmp_path / "v.mat", {"v": np.arange(6.0)})
    content = bytearray((tmp_path / "v.mat").read_bytes())
    place = content.rindex(np.arange(6.0).tobytes()) - 8
    assert content[place] == 9
    content[place : place + 4] = (40_000).to_bytes(4, "little")
    (tmp_path / "v.mat").write_bytes(content)
    with pytest.raises(InputError, match="numbers of kind 40000"):
        read_variables(tmp_path / "v.mat", ["v"])


def test_a_sparse_array_whose_places_lie_outside_is_refused(tmp_path):
    scipy.io.savemat(tmp_path / "v.mat", {"v": VALUES["sparse"]})
    content = (tmp_path / "v.mat").read_bytes()
    rows = np.array([0, 1], dtype="<i4").tobytes()
    assert content.count(rows) >= 1
    (tmp_path / "v.mat").write_bytes(content.replace(rows, np.array([0, 7], dtype="<i4").tobytes()))
    with pytest.raises(ValueError, match="places lie outside"):
        check_elements(tmp_path / "v.mat")


def test_a_damaged_heap_of_texts_is_refused_and_not_walked_through_for_ever(simulated, tmp_path):
    path = write_recording(simulated, tmp_path / "r.nc")
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 16 + 600 : heap + 16 + 1400] = bytes(800)
    path.write_bytes(content)
    program = f"from neural_data import read_recording; read_recording({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "a heap of texts is damaged" in done.stderr


def test_letters_that_look_like_a_heap_are_no_damage(simulated, tmp_path):
    simulated.attrs["note"] = "GCOL\1 and GCOL" * 50
    path = write_recording(simulated, tmp_path / "r.nc")
    assert read_recording(path).shape == simulated.shape


def test_a_flipped_bit_in_any_of_the_first_bytes_of_a_pngs_pixels_is_noticed():
    """Pillow does not compare the checksum of the pixels; the short stream of a small image hides damage from it."""
    held = io.BytesIO()
    pixels = np.random.default_rng(8).integers(0, 256, (16, 16), dtype=np.uint8)
    Image.fromarray(pixels).convert("1").save(held, "PNG")
    content = held.getvalue()
    decode_image(content, "whole")
    start = content.index(b"IDAT") + 4
    for place in range(start, start + 40):
        damaged = content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]
        with pytest.raises(InputError, match="the checksum of its part IDAT is wrong"):
            decode_image(damaged, "damaged")
    with pytest.raises(InputError, match="cut off"):
        decode_image(content[:-12], "damaged")


def test_a_compressed_variable_that_unpacks_to_more_than_it_claims_is_refused_unread(tmp_path):
    scipy.io.savemat(tmp_path / "v.mat", {"v": np.arange(4.0)}, do_compression=True)
    content = (tmp_path / "v.mat").read_bytes()
    whole = zlib.decompress(content[136:])
    bomb = zlib.compress(whole + bytes(50_000_000))
    (tmp_path / "more.mat").write_bytes(content[:128] + struct.pack("<II", 15, len(bomb)) + bomb)
    tracemalloc.start()
    with pytest.raises(ValueError, match=f"a compressed element holds more than its {len(whole) - 8} bytes"):
        check_elements(tmp_path / "more.mat")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    cut = content[:132] + struct.pack("<I", len(content) - 140) + content[136:-4]
    (tmp_path / "cut.mat").write_bytes(cut)
    with pytest.raises(ValueError, match="is cut off"):
        check_elements(tmp_path / "cut.mat")
