"""The package's own small networks. Each lists its layers in ``layer_names``."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from neurocompare.models.preprocessing import Preprocessing

__all__ = ["CnnSmall", "Pixels"]


class CnnSmall(nn.Module):
    """The four-convolution network of eLife 90256, Figure 4, for images of 32 x 32.

    3 x 3 convolutions with 32, 32, 64 and 128 channels, max pooling after the second and the fourth, batch
    normalisation after the first and third, three fully connected layers (256, 256, ``n_classes``) with dropout 0.5,
    ReLU throughout, He-uniform start. A layer's output is taken after its normalisation and its ReLU.

    Parameters
    ----------
    n_classes : int
        Width of ``fc3``.
    """

    layer_names = ("conv1", "conv2", "pool1", "conv3", "conv4", "pool2", "fc1", "fc2", "fc3")
    input_size = 32
    preprocessing = Preprocessing(size=32)

    def __init__(self, n_classes: int = 10):
        super().__init__()
        features = (self.input_size // 4) ** 2 * 128
        self.conv1 = _convolution(3, 32, normalised=True)
        self.conv2 = _convolution(32, 32)
        self.pool1 = nn.MaxPool2d(2)
        self.conv3 = _convolution(32, 64, normalised=True)
        self.conv4 = _convolution(64, 128)
        self.pool2 = nn.MaxPool2d(2)
        self.fc1 = nn.Sequential(nn.Linear(features, 256), nn.ReLU())
        self.dropout1 = nn.Dropout(0.5)
        self.fc2 = nn.Sequential(nn.Linear(256, 256), nn.ReLU())
        self.dropout2 = nn.Dropout(0.5)
        self.fc3 = nn.Linear(256, n_classes)
        for part in self.modules():
            if isinstance(part, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_uniform_(part.weight, nonlinearity="relu")
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores (n, n_classes) of images (n, 3, 32, 32)."""
        maps = self.pool1(self.conv2(self.conv1(images)))
        maps = self.pool2(self.conv4(self.conv3(maps)))
        hidden = self.dropout1(self.fc1(maps.flatten(1)))
        return self.fc3(self.dropout2(self.fc2(hidden)))


class Pixels(nn.Module):
    """The image itself as the only layer: a control for every claim about a network."""

    layer_names = ("pixels",)
    input_size = 64
    preprocessing = Preprocessing(size=64)

    def __init__(self):
        super().__init__()
        self.pixels = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images, unchanged."""
        return self.pixels(images)


def _convolution(n_in: int, n_out: int, *, normalised: bool = False) -> nn.Sequential:
    parts: list[tuple[str, nn.Module]] = [("conv", nn.Conv2d(n_in, n_out, 3, padding=1))]
    if normalised:
        parts.append(("norm", nn.BatchNorm2d(n_out)))
    return nn.Sequential(OrderedDict([*parts, ("relu", nn.ReLU())]))
