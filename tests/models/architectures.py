"""Networks of every build that users bring, small, with the layers that a neuroscientist would name in each."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from neurocompare.models.preprocessing import Preprocessing
from neurocompare.models.registry import Network


def sequential() -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 6, 5, stride=2),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 8, 3),
            relu2=nn.ReLU(),
            flat=nn.Flatten(),
            drop=nn.Dropout(),
            fc=nn.Linear(8 * 5 * 5, 7),
        )
    )


class ResidualBlock(nn.Module):
    """Like torchvision's: one ReLU for both stages, in place, and the sum in place too."""

    def __init__(self, n_in: int, n_out: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Conv2d(n_in, n_out, 1, stride=stride) if stride > 1 else None

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(2)
        self.layer1 = nn.Sequential(ResidualBlock(6, 6, 1), ResidualBlock(6, 6, 1))
        self.layer2 = nn.Sequential(ResidualBlock(6, 8, 2))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 5)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.fc(self.avgpool(self.layer2(self.layer1(x))).flatten(1))


class Attention(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.proj(functional.scaled_dot_product_attention(q, k, v))


class Mlp(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class TransformerBlock(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width), Attention(width)
        self.norm2, self.mlp = nn.LayerNorm(width), Mlp(width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    """Like timm's: patches, a class token, blocks in a Sequential, the head on the class token."""

    def __init__(self):
        super().__init__()
        width = 12
        self.patch_embed = nn.Conv2d(3, width, 8, stride=8)
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, 17, width))
        self.blocks = nn.Sequential(TransformerBlock(width), TransformerBlock(width))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 5)

    def forward(self, x):
        patches = self.patch_embed(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(tokens))[:, 0])


class TorchTransformer(nn.Module):
    """PyTorch's own encoder, tokens first: the second dimension counts images."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 8, stride=8)
        layer = nn.TransformerEncoderLayer(12, 2, 24, batch_first=False)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        tokens = self.encoder(self.patches(x).flatten(2).permute(2, 0, 1))
        return self.head(tokens.mean(dim=0))


class Recurrent(nn.Module):
    """Like CORnet-RT: the same modules at every time step."""

    def __init__(self):
        super().__init__()
        self.feed, self.lateral = nn.Conv2d(3, 6, 3, stride=2), nn.Conv2d(6, 6, 3, padding=1)
        self.norm, self.relu = nn.GroupNorm(2, 6), nn.ReLU()
        self.pool, self.decoder = nn.AdaptiveAvgPool2d(2), nn.Linear(24, 5)

    def forward(self, x):
        drive, state = self.feed(x), 0
        for _ in range(3):
            state = self.relu(self.norm(drive + (self.lateral(state) if torch.is_tensor(state) else 0)))
        return self.decoder(self.pool(state).flatten(1))


class RecurrentCells(nn.Module):
    """An LSTM over image rows, which returns a tuple of the outputs and a tuple of states; batch comes second."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(96, 9), nn.Linear(9, 4)

    def forward(self, x):
        outputs, _ = self.rnn(x.permute(2, 0, 1, 3).flatten(2))
        return self.head(outputs[-1])


def in_place() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=3),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 6, 3),
        nn.LeakyReLU(0.1, inplace=True),
        nn.AvgPool2d(2),
        nn.Hardtanh(-0.2, 0.2, inplace=True),
    )


class Shared(nn.Module):
    """One ReLU and one pooling for every stage; the ReLUs of the last stage are functions, not modules."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Conv2d(6, 4, 3)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)

    def forward(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        return functional.relu(self.conv3(x)).flatten(1)


class Features(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.act, self.pool = nn.Conv2d(3, 6, 3, stride=2), nn.ELU(), nn.AvgPool2d(3)

    def forward(self, x):
        low = self.act(self.conv(x))
        return {"low": low, "high": [self.pool(low), low.mean(dim=(2, 3))]}


class ReturnsDict(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.head = Features(), nn.Linear(6, 4)

    def forward(self, x):
        found = self.features(x)
        logits = self.head(found["high"][1])
        return {"logits": logits, "unit": functional.normalize(logits, dim=1), "n": 3}


class Bottleneck(nn.Module):
    def __init__(self, n_in: int, n_mid: int, n_out: int):
        super().__init__()
        self.branch1, self.branch2 = nn.Conv2d(n_in, n_mid, 1), nn.Conv2d(n_in, n_out - n_mid, 3, padding=1)

    def forward(self, x):
        return torch.cat([functional.relu(self.branch1(x)), functional.relu(self.branch2(x))], dim=1)


class Branches(nn.Module):
    """Like Inception: branches that are concatenated, functional activations."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 6, 5, stride=2), nn.LocalResponseNorm(3)
        self.mixed1, self.mixed2 = Bottleneck(6, 2, 8), Bottleneck(8, 4, 8)
        self.head = nn.Linear(8, 4)

    def forward(self, x):
        x = self.mixed2(self.mixed1(self.norm(functional.relu(self.stem(x)))))
        return self.head(x.mean(dim=(2, 3)))


class WantsGpu(nn.Module):
    """Takes a fused kernel where the package and the device are there, and plain attention elsewhere."""

    def __init__(self):
        super().__init__()
        try:
            self.fused = (
                importlib.import_module("flash_attention_that_nobody_has") if torch.cuda.is_available() else None
            )
        except ImportError:
            self.fused = None
        self.patches, self.attn = nn.Conv2d(3, 12, 8, stride=8), nn.MultiheadAttention(12, 2, batch_first=True)
        self.norm, self.act = nn.LayerNorm(12), nn.SiLU()

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        if self.fused is not None:
            return self.fused(tokens)
        attended, _ = self.attn(tokens, tokens, tokens)
        return self.act(self.norm(tokens + attended)).flatten(1)


@dataclass(frozen=True)
class Architecture:
    make: Callable[[], nn.Module]
    layers: tuple[str, ...]


ARCHITECTURES = {
    "sequential": Architecture(sequential, ("relu1", "pool1", "relu2", "fc")),
    "residual": Architecture(
        Residual,
        (
            *("bn1", "relu", "maxpool"),
            *("layer1.0.bn1", "layer1.0.relu", "layer1.0.bn2", "layer1.0"),
            *("layer1.1.bn1", "layer1.1.relu", "layer1.1.bn2", "layer1.1"),
            *("layer2.0.bn1", "layer2.0.relu", "layer2.0.bn2", "layer2.0.downsample", "layer2.0", "avgpool", "fc"),
        ),
    ),
    "vision transformer": Architecture(
        VisionTransformer,
        (
            "patch_embed",
            *("blocks.0", "class_token(blocks.0)", "blocks.1", "class_token(blocks.1)"),
            *("norm", "class_token(norm)", "head"),
        ),
    ),
    "torch transformer": Architecture(TorchTransformer, ("patches", "encoder.layers.0", "encoder.layers.1", "head")),
    "recurrent": Architecture(
        Recurrent,
        (
            *("feed", "norm", "relu", "lateral", "norm:2", "relu:2", "lateral:2", "norm:3", "relu:3"),
            *("pool", "decoder"),
        ),
    ),
    "recurrent cells": Architecture(RecurrentCells, ("rnn", "head")),
    "in place": Architecture(in_place, ("1", "2", "4", "5", "6")),
    "shared": Architecture(Shared, ("relu", "pool", "relu:2", "pool:2", "conv3", "output")),
    "returns dict": Architecture(
        ReturnsDict, ("features.act", "features.pool", "features[high][1]", "head", "output[unit]")
    ),
    "branches": Architecture(
        Branches, ("stem", "norm", "mixed1.branch1", "mixed1.branch2", "mixed1", "mixed2.branch1", "mixed2.branch2",
                   "mixed2", "head")
    ),
    "wants a GPU": Architecture(WantsGpu, ("patches", "attn", "norm", "act")),
}  # fmt: skip
SIZE = 32


def network(name: str, *, dtype: torch.dtype = torch.float32, seed: int = 0) -> Network:
    """One of the architectures with a random start and running statistics that are not those of a fresh one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = ARCHITECTURES[name].make()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2.0)
    return Network(name, module.to(dtype).eval(), Preprocessing(size=SIZE))
