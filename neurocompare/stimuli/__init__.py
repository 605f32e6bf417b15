"""Makes stimulus sets: 3D objects and faces in many views, controlled to the pixel.

Public names are imported on first use, so that ``import neurocompare.stimuli`` is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neural_data.lazy import lazy_names

if TYPE_CHECKING:
    from neurocompare.stimuli.folders import (
        contact_sheet as contact_sheet,
        read_folder as read_folder,
        render_set as render_set,
    )
    from neurocompare.stimuli.luminance import describe_images as describe_images
    from neurocompare.stimuli.meshes import (
        mesh_views as mesh_views,
        read_mesh as read_mesh,
    )
    from neurocompare.stimuli.sets import (
        face_views as face_views,
        object_views as object_views,
        training_set as training_set,
    )
    from neurocompare.stimuli.transforms import GrayBackground as GrayBackground

_HOMES = {
    "face_views": "neurocompare.stimuli.sets",
    "object_views": "neurocompare.stimuli.sets",
    "training_set": "neurocompare.stimuli.sets",
    "render_set": "neurocompare.stimuli.folders",
    "read_folder": "neurocompare.stimuli.folders",
    "contact_sheet": "neurocompare.stimuli.folders",
    "mesh_views": "neurocompare.stimuli.meshes",
    "read_mesh": "neurocompare.stimuli.meshes",
    "describe_images": "neurocompare.stimuli.luminance",
    "GrayBackground": "neurocompare.stimuli.transforms",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
