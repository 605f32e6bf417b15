"""Small recordings and raster files that the tests of this room share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import xarray as xr

from neural_data import simulate_patches


@pytest.fixture
def simulated(faces) -> xr.DataArray:
    """Two patches of two subjects, three repetitions."""
    return simulate_patches(faces, ("ML", "AM"), 5, 3, rng=np.random.default_rng(2), subjects=("A", "B"))


@pytest.fixture
def raster_file():
    """Writer of one raster file of the Neural Decoding Toolbox."""

    def write(path: Path, spikes: np.ndarray, labels: dict[str, list[str]], **site: object) -> Path:
        cells = {name: np.array(values, dtype=object)[None, :] for name, values in labels.items()}
        content = {"raster_data": spikes.astype(np.uint8), "raster_labels": cells}
        scipy.io.savemat(path, {**content, "raster_site_info": {"alignment_event_time": 101, **site}})
        return path

    return write
