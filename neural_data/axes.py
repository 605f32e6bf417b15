"""Notation for the axes of arrays in signatures: ``models: Float[np.ndarray, "models pairs"]``.

``Float``, ``Integer`` and ``Bool`` say the kind of numbers, the text names the axes in order; axes of one name have one
length within a call. For type checkers this is the array's type alone. The tests check the shapes with jaxtyping, whose
notation this is; see ``tests/checked_axes.py``.
"""

from __future__ import annotations

from typing import Annotated as Bool, Annotated as Float, Annotated as Integer

__all__ = ["Bool", "Float", "Integer"]
