"""Two networks trained by others, as modules without their weights: ``squeezenet()`` and ``dlib_face()``.

The weights are not part of this package. ``README.md`` in this folder gives their source; the tensors in the files have
the names of the modules here.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = ["DlibFace", "SqueezeNet", "dlib_face", "squeezenet"]


class Fire(nn.Module):
    """A convolution to few channels, followed by convolutions of two kernel sizes to many channels."""

    def __init__(self, n_in: int, n_squeeze: int, n_expand: int):
        super().__init__()
        self.squeeze1x1, self.relu_squeeze = nn.Conv2d(n_in, n_squeeze, 1), nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(n_squeeze, n_expand, 1)
        self.expand3x3, self.relu_expand = nn.Conv2d(n_squeeze, n_expand, 3, padding=1), nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (n, channels, height, width) to (n, 2 n_expand, height, width)."""
        x = self.relu_squeeze(self.squeeze1x1(x))
        return self.relu_expand(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class SqueezeNet(nn.Module):
    """SqueezeNet v1.0 (Iandola et al. 2016); takes RGB images; its first convolution sees BGR."""

    def __init__(self):
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(3, 96, 7, stride=2), nn.ReLU(inplace=True)
        self.pool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.fire2, self.fire3, self.fire4 = Fire(96, 16, 64), Fire(128, 16, 64), Fire(128, 32, 128)
        self.pool4 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.fire5, self.fire6 = Fire(256, 32, 128), Fire(256, 48, 192)
        self.fire7, self.fire8 = Fire(384, 48, 192), Fire(384, 64, 256)
        self.pool8, self.fire9 = nn.MaxPool2d(3, 2, ceil_mode=True), Fire(512, 64, 256)
        self.conv10, self.relu10, self.pool10 = nn.Conv2d(512, 1000, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of 1,000 classes, (n, 1000), for images (n, 3, 227, 227)."""
        x = self.pool1(self.relu1(self.conv1(x[:, [2, 1, 0]])))
        x = self.pool4(self.fire4(self.fire3(self.fire2(x))))
        x = self.pool8(self.fire8(self.fire7(self.fire6(self.fire5(x)))))
        return self.pool10(self.relu10(self.conv10(self.fire9(x)))).flatten(1)


class Scale(nn.Module):
    """A gain and a bias for every channel: batch normalisation with fixed statistics."""

    def __init__(self, n: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(n)), nn.Parameter(torch.zeros(n))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scaled maps, of the same shape (n, channels, height, width)."""
        return x * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


class ConvScale(nn.Module):
    """A convolution followed by a gain and a bias."""

    def __init__(self, n_in: int, n_out: int, size: int = 3, stride: int = 1, padding: int = 1):
        super().__init__()
        self.conv, self.scale = nn.Conv2d(n_in, n_out, size, stride=stride, padding=padding), Scale(n_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps (n, n_out, height, width) of maps (n, n_in, height, width)."""
        return self.scale(self.conv(x))


class Block(nn.Module):
    """A residual block; ``down`` halves the map and fills new channels of the shortcut with zeros."""

    def __init__(self, n_in: int, n_out: int, *, down: bool):
        super().__init__()
        self.down = down
        self.conv1, self.relu1 = ConvScale(n_in, n_out, stride=1 + down, padding=1 - down), nn.ReLU(inplace=True)
        self.conv2, self.relu2 = ConvScale(n_out, n_out), nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps with ``n_out`` channels, half as high and wide if ``down``, of maps (n, n_in, height, width)."""
        out = self.conv2(self.relu1(self.conv1(x)))
        if self.down:
            x = functional.avg_pool2d(x, 2, 2)
            out = functional.pad(out, (0, x.shape[3] - out.shape[3], 0, x.shape[2] - out.shape[2]))
            x = functional.pad(x, (0, 0, 0, 0, 0, out.shape[1] - x.shape[1]))
        return self.relu2(out + x)


_BLOCKS = {
    **{f"conv32_{n}": (32, 32, False) for n in (1, 2, 3)},
    "conv64_down": (32, 64, True),
    **{f"conv64_{n}": (64, 64, False) for n in (1, 2, 3)},
    "conv128_down": (64, 128, True),
    **{f"conv128_{n}": (128, 128, False) for n in (1, 2)},
    "conv256_down": (128, 256, True),
    **{f"conv256_{n}": (256, 256, False) for n in (1, 2)},
    "conv256_down_out": (256, 256, True),
}
"""Blocks of dlib's network: channels that come in and go out, and whether the map is halved."""


class DlibFace(nn.Module):
    """dlib's residual network, which embeds a face in 128 dimensions (King 2017)."""

    def __init__(self):
        super().__init__()
        self.conv32_down, self.relu, self.pool = ConvScale(3, 32, 7, 2, 0), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2)
        for name, (n_in, n_out, down) in _BLOCKS.items():
            setattr(self, name, Block(n_in, n_out, down=down))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(256, 128, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings (n, 128) of images (n, 3, 150, 150)."""
        x = self.pool(self.relu(self.conv32_down(x)))
        for name in _BLOCKS:
            x = getattr(self, name)(x)
        return self.fc(self.avgpool(x).flatten(1))


def squeezenet() -> SqueezeNet:
    """SqueezeNet v1.0 with random weights."""
    return SqueezeNet()


def dlib_face() -> DlibFace:
    """The dlib network for faces with random weights."""
    return DlibFace()
