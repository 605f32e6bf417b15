"""Names given by EfficientNet-Lite0 to sample photographs of scikit-image: a check of its weights and preprocessing.

``python analyses/real_networks/name_photographs.py FOLDER`` takes the folder ``skimage/data`` of an installed or
unpacked scikit-image, and prints the first five classes for each photograph of an object that is a class of ImageNet.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from neural_data import StimulusSet
from neurocompare import load_model

PHOTOGRAPHS = {
    "chelsea.png": {281: "tabby", 282: "tiger cat", 283: "Persian cat", 284: "Siamese cat", 285: "Egyptian cat"},
    "coffee.png": {967: "espresso"},
    "camera.png": {872: "tripod"},
    "rocket.jpg": {657: "missile", 744: "projectile"},
    "motorcycle_left.png": {665: "moped", 670: "motor scooter"},
    "clock_motion.png": {409: "analog clock", 892: "wall clock"},
}
"""Files, and the classes of ImageNet that name what is on them, by their numbers."""


def main() -> None:
    """Print the classes, and the number of photographs with the right name."""
    folder = Path(sys.argv[1])
    network = load_model("efficientnet-lite0", weights="pretrained", device="cpu")
    right = {1: 0, 5: 0}
    for name, meant in PHOTOGRAPHS.items():
        pixels = np.asarray(Image.open(folder / name).convert("RGB"))[None]
        table = pd.DataFrame({"filename": name, "identity": name, "azimuth_deg": 0.0}, index=[name])
        stimuli = StimulusSet(table.rename_axis("stimulus_id"), pixels=pixels)
        scores = torch.softmax(network.forward(stimuli.images(network.preprocessing.shown_at)), dim=1)[0]
        shares, classes = (values.tolist() for values in scores.topk(5))
        for n in right:
            right[n] += bool(set(classes[:n]) & set(meant))
        said = ", ".join(f"{meant.get(label, label)} {share:.2f}" for label, share in zip(classes, shares, strict=True))
        print(f"{name:<20} {said}")
    for n, count in right.items():
        print(f"top {n}: {count} of {len(PHOTOGRAPHS)}")


if __name__ == "__main__":
    main()
