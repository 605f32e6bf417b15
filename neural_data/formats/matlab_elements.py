"""Checks that every element of a MATLAB version 5 file follows the file format.

SciPy's compiled reader trusts the type and size that every element declares: one flipped bit in them crashes Python. So
all elements are checked here before SciPy reads the file.

References
----------
MATLAB MAT-File Format, The MathWorks: data elements, their kinds and the parts of each class of array.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np

from neural_data.formats.bounds import DEEPEST

__all__ = ["check_elements"]

BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
"""Bytes per number, by type of element."""
TEXTS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 16: 1, 17: 2, 18: 4}
INT8, INT32, UINT32, MATRIX, COMPRESSED, UTF8 = 1, 5, 6, 14, 15, 16
CELL, STRUCT, OBJECT, CHAR, SPARSE = 1, 2, 3, 4, 5
NUMERIC = range(6, 16)
WITHOUT_SHAPE = (16, 17)
"""Classes of MATLAB functions and objects, whose layout is not documented."""
COMPLEX = 0x0800
MOST_DIMENSIONS = 32


def check_elements(path: Path) -> None:
    """Check all elements of a file.

    Raises
    ------
    ValueError
        If an element does not follow the format; ``zlib.error`` if a compressed element is damaged.
    """
    content = memoryview(path.read_bytes())
    mark = bytes(content[126:128])
    if mark not in (b"IM", b"MI"):
        return  # version 4 has no elements
    order = "<" if mark == b"IM" else ">"
    place = 128
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        if place + 8 + size > len(content):
            raise ValueError(f"an element claims {size:,} bytes, and {len(content) - place - 8:,} are left")
        inside = content[place + 8 : place + 8 + size]
        if kind == COMPRESSED:
            unpacked = memoryview(_unpacked(inside, order))
            _Elements(unpacked, order).matrix(0, len(unpacked), 0)
        elif kind == MATRIX:
            _Elements(content, order).matrix(place, place + 8 + size, 0)
        place += 8 + size


def _unpacked(compressed: memoryview, order: str) -> bytes:
    """The element that a compressed one holds, and not a byte more than it claims (and is padded with)."""
    unpacker = zlib.decompressobj()
    tag = unpacker.decompress(compressed, 8)
    if len(tag) < 8:
        raise ValueError("a compressed element is cut off")
    size = struct.unpack(f"{order}II", tag)[1]
    data = unpacker.decompress(unpacker.unconsumed_tail, size + 8)
    if not unpacker.eof:
        more = len(data) > size or unpacker.unconsumed_tail
        raise ValueError(f"a compressed element {f'holds more than its {size:,} bytes' if more else 'is cut off'}")
    return tag + data


class _Elements:
    """Elements of one array, which may hold further arrays."""

    def __init__(self, content: memoryview, order: str):
        self.content, self.order = content, order

    def element(self, place: int, end: int) -> tuple[int, int, int, int]:
        """Type, start and size of an element's data, and the start of the next element."""
        if place + 8 > end:
            raise ValueError("an array ends in the middle of its parts")
        kind, size = struct.unpack_from(f"{self.order}II", self.content, place)
        if kind >> 16:
            kind, size = kind & 0xFFFF, kind >> 16
            if size > 4:
                raise ValueError(f"a small element claims {size} bytes")
            return kind, place + 4, size, place + 8
        if place + 8 + size > end:
            raise ValueError(f"an element claims {size:,} bytes, and {end - place - 8:,} are left")
        return kind, place + 8, size, min(place + 8 + size + (-size % 8), end)

    def part(self, place: int, end: int, kinds: tuple[int, ...], what: str) -> tuple[int, int, int]:
        """Start and size of an element that must be of one of ``kinds``, and the start of the next element."""
        kind, start, size, after = self.element(place, end)
        if kind not in kinds:
            raise ValueError(f"{what} of an array are of kind {kind}")
        return start, size, after

    def integers(self, start: int, size: int) -> np.ndarray:
        """Data of an element as 32-bit integers."""
        return np.frombuffer(self.content[start : start + size - size % 4], f"{self.order}i4")

    def numbers(self, place: int, end: int) -> int:
        """Check an element of numbers; returns the start of the next element."""
        kind, _, size, after = self.element(place, end)
        if kind not in BYTES or size % BYTES[kind]:
            raise ValueError(f"numbers of kind {kind} in {size:,} bytes")
        return after

    def matrix(self, place: int, end: int, depth: int) -> int:
        """Check an array; returns the start of the next element."""
        if depth > DEEPEST:
            raise ValueError(f"arrays are nested deeper than {DEEPEST}")
        kind, start, size, after = self.element(place, end)
        if kind != MATRIX:
            raise ValueError(f"an element of kind {kind} where an array should be")
        if not size:
            return after
        end = start + size
        flags, n_bytes, place = self.part(start, end, (UINT32,), "flags")
        if n_bytes != 8:
            raise ValueError(f"flags of an array take {n_bytes} bytes")
        (flag,) = struct.unpack_from(f"{self.order}I", self.content, flags)
        kind = flag & 0xFF
        if kind in WITHOUT_SHAPE:
            return after
        shape, n_bytes, place = self.part(place, end, (INT32,), "dimensions")
        dimensions = self.integers(shape, n_bytes)
        if not 2 <= len(dimensions) <= MOST_DIMENSIONS or n_bytes % 4 or (dimensions < 0).any():
            raise ValueError(f"an array of {len(dimensions)} dimensions, of {dimensions[:4].tolist()}")
        n = math.prod(dimensions.tolist())
        _, _, place = self.part(place, end, (INT8, UTF8), "letters of the name")
        self._parts(kind, n, dimensions, place, end, depth, is_complex=bool(flag & COMPLEX))
        return after

    def _parts(
        self, kind: int, n: int, dimensions: np.ndarray, place: int, end: int, depth: int, *, is_complex: bool
    ) -> None:
        if kind in NUMERIC:
            for _ in range(1 + is_complex):
                place = self.numbers(place, end)
        elif kind == CHAR:
            letters, _, size, _ = self.element(place, end)
            if letters not in TEXTS or size % TEXTS[letters]:
                raise ValueError(f"letters of kind {letters} in {size:,} bytes")
        elif kind == SPARSE:
            self._sparse(dimensions, place, end, is_complex=is_complex)
        elif kind == CELL:
            self._arrays(n, place, end, depth)
        elif kind in (STRUCT, OBJECT):
            if kind == OBJECT:
                _, _, place = self.part(place, end, (INT8, UTF8), "letters of the class")
            length, n_bytes, place = self.part(place, end, (INT32,), "length of names")
            longest = int(self.integers(length, n_bytes)[0]) if n_bytes == 4 else 0
            if longest < 1:
                raise ValueError(f"names of fields have {longest} letters")
            _, n_bytes, place = self.part(place, end, (INT8, UTF8), "letters of names")
            if n_bytes % longest:
                raise ValueError(f"names of fields take {n_bytes} bytes, {longest} each")
            self._arrays(n * (n_bytes // longest), place, end, depth)
        else:
            raise ValueError(f"an array of class {kind}")

    def _arrays(self, n: int, place: int, end: int, depth: int) -> None:
        if 8 * n > end - place:
            raise ValueError(f"{n:,} arrays in {end - place:,} bytes")
        for _ in range(n):
            place = self.matrix(place, end, depth + 1)

    def _sparse(self, dimensions: np.ndarray, place: int, end: int, *, is_complex: bool) -> None:
        start, size, place = self.part(place, end, (INT32,), "rows")
        rows = self.integers(start, size)
        start, size, place = self.part(place, end, (INT32,), "columns")
        columns = self.integers(start, size)
        counted = len(columns) == dimensions[1] + 1 and columns[0] == 0 and (np.diff(columns) >= 0).all()
        if not counted or columns[-1] > len(rows) or ((rows < 0) | (rows >= max(dimensions[0], 1))).any():
            raise ValueError("a sparse array whose places lie outside of it")
        for _ in range(1 + is_complex):
            place = self.numbers(place, end)
