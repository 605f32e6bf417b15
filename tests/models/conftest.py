"""Training images that several tests look at, rendered once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from neurocompare.models.datasets import LabelledImages, read_dataset

FIELDS = ("images", "labels", "classes", "name", "exemplars")


@pytest.fixture
def rendered(kept) -> Callable[..., LabelledImages]:
    """A function of a kind, ``symmetric`` or ``chiral``: 100 images that no shipped network was trained on."""

    def make(kind: str, size: int) -> dict:
        images, test = read_dataset(kind, size=size, n_images=100, seed=91)
        assert test is None
        return {name: getattr(images, name) for name in FIELDS}

    return lambda kind, size=32: LabelledImages(**kept(f"100 {kind} images of {size}", lambda: make(kind, size)))
