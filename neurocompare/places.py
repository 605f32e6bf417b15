"""Where files are kept that can be made or fetched again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["CACHE_VARIABLE", "cache_folder"]

CACHE_VARIABLE = "NEUROCOMPARE_CACHE"


def cache_folder() -> Path:
    """Folder of finished steps and fetched data sets: what ``NEUROCOMPARE_CACHE`` names, else the user's cache folder.

    Returns
    -------
    pathlib.Path
        It need not exist. Where the user has no home folder, it lies in the folder for temporary files.
    """
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("neurocompare")
