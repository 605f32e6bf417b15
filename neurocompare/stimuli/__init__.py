"""Makes stimulus sets: 3D objects and faces in many views, controlled to the pixel.

The public names are imported when they are first used, so that ``import neurocompare.stimuli`` costs nothing.
"""

from __future__ import annotations

import importlib

PUBLIC = {
    "face_views": "sets",
    "object_views": "sets",
    "training_set": "sets",
    "render_set": "folders",
    "read_folder": "folders",
    "contact_sheet": "folders",
    "mesh_views": "meshes",
    "read_mesh": "meshes",
    "describe_images": "luminance",
    "GrayBackground": "transforms",
}

__all__ = list(PUBLIC)


def __getattr__(name: str):
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC])
