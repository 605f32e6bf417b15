"""Ways in which files get damaged, each a function of the bytes and a source of chance."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

__all__ = ["MUTATIONS", "mutate"]

NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1, 100_000_000)
WORDS = (
    *("NaN", "inf", "-inf", "1e999", "-1", "", "0", "99999999999999999999", "é", "\0", '"', "=1+1", "../../x", "[[[["),
    "None",
)


def flip_bit(content: bytes, rng: np.random.Generator) -> bytes:
    """One bit, as memory and disks do it."""
    place = int(rng.integers(len(content)))
    return content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :]


def flip_bits(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bits."""
    for _ in range(int(rng.integers(2, 30))):
        content = flip_bit(content, rng)
    return content


def flip_in_head(content: bytes, rng: np.random.Generator) -> bytes:
    """One bit among the first, where sizes and kinds stand."""
    size = min(len(content), 256)
    return flip_bit(content[:size], rng) + content[size:]


def cut_off(content: bytes, rng: np.random.Generator) -> bytes:
    """The end is missing: a stopped copy."""
    return content[: int(rng.integers(len(content)))]


def cut_out(content: bytes, rng: np.random.Generator) -> bytes:
    """A piece is missing in the middle."""
    start, end = sorted(int(place) for place in rng.integers(len(content), size=2))
    return content[:start] + content[end:]


def zeros(content: bytes, rng: np.random.Generator) -> bytes:
    """A piece was never written."""
    start, end = sorted(int(place) for place in rng.integers(len(content), size=2))
    return content[:start] + bytes(end - start) + content[end:]


def noise(content: bytes, rng: np.random.Generator) -> bytes:
    """A piece is something else."""
    start = int(rng.integers(len(content)))
    piece = rng.bytes(int(rng.integers(1, 64)))
    return content[:start] + piece + content[start + len(piece) :]


def repeat(content: bytes, rng: np.random.Generator) -> bytes:
    """A piece stands there twice."""
    start, end = sorted(int(place) for place in rng.integers(len(content), size=2))
    return content[:end] + content[start:end] + content[end:]


def exchange(content: bytes, rng: np.random.Generator) -> bytes:
    """Two pieces in each other's place."""
    a, b, c = sorted(int(place) for place in rng.integers(len(content), size=3))
    return content[:a] + content[b:c] + content[a:b] + content[c:]


def more(content: bytes, rng: np.random.Generator) -> bytes:
    """Something follows after the end."""
    return content + rng.bytes(int(rng.integers(1, 200)))


def number(content: bytes, rng: np.random.Generator) -> bytes:
    """A number of the file becomes an extreme one."""
    code = "<" if rng.random() < 0.7 else ">"
    code += str(rng.choice(list("BHIQ")))
    value = int(rng.choice(np.array(NUMBERS, dtype=object))) % 256 ** struct.calcsize(code)
    place = int(rng.integers(max(1, len(content) - 8)))
    piece = struct.pack(code, value)
    return content[:place] + piece + content[place + len(piece) :]


def word(content: bytes, rng: np.random.Generator) -> bytes:
    """A number or a word of a text becomes another; of other files, a piece becomes a word."""
    new = str(rng.choice(np.array(WORDS, dtype=object))).encode()
    places = [place for place, byte in enumerate(content[:20_000]) if byte in b",;\t =\n"]
    if len(places) < 2:
        return content[: len(content) // 2] + new
    chosen = int(rng.integers(len(places) - 1))
    return content[: places[chosen] + 1] + new + content[places[chosen + 1] :]


def line(content: bytes, rng: np.random.Generator) -> bytes:
    """A line is left out, repeated, or put elsewhere."""
    lines = content.split(b"\n")
    chosen = lines.pop(int(rng.integers(len(lines))))
    kind = int(rng.integers(3))
    if kind:
        lines.insert(int(rng.integers(len(lines) + 1)), chosen)
    if kind == 2:
        lines.insert(int(rng.integers(len(lines) + 1)), chosen)
    return b"\n".join(lines)


def ends(content: bytes, _rng: np.random.Generator) -> bytes:
    """Another system's ends of lines and byte-order mark."""
    return b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n")


def empty(_content: bytes, _rng: np.random.Generator) -> bytes:
    """Nothing."""
    return b""


MUTATIONS: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    mutation.__name__: mutation
    for mutation in (
        *(flip_bit, flip_bits, flip_in_head, cut_off, cut_out, zeros, noise, repeat, exchange, more, number, word),
        *(line, ends, empty),
    )
}


def mutate(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """A name of :data:`MUTATIONS`, and what it makes of a file."""
    name = str(rng.choice(list(MUTATIONS)))
    return name, MUTATIONS[name](content, rng)
