"""Location of cached files."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

__all__ = ["CACHE_VARIABLE", "cache_folder"]

CACHE_VARIABLE = "NEUROCOMPARE_CACHE"


def cache_folder() -> Path:
    """Folder of finished steps and downloads: ``NEUROCOMPARE_CACHE``, else the user's cache folder.

    Returns
    -------
    pathlib.Path
        It need not exist. Without a home folder, it is in the folder for temporary files.
    """
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("neurocompare")
