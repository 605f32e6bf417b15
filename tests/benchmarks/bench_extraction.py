"""Extraction of layer RDMs against bare forward passes, and against how people extract today.

``python -m tests.benchmarks.bench_extraction`` prints a table (about ten minutes). Each row runs in a process of its
own, so that its peak memory is its own, and times bare passes, the extraction, and bare passes again in processor
time: what else the machine does hardly counts. Bare passes are the same forward passes over the same batches, ended
at the same layers, with nothing done to the responses.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from neural_data import StimulusSet
from neurocompare.models.layers import Layer
from neurocompare.models.registry import Network, Preprocessing
from neurocompare.representations.activations import (
    BATCH_SIZE,
    MEMORY_MB,
    images_at_once,
    plan_passes,
    stream_responses,
)
from neurocompare.representations.model_rdms import compute_model_rdms

REPOSITORY = Path(__file__).parents[2]
N_VIEWS = 9
SIZE = 224


def alexnet() -> nn.Module:
    """AlexNet as in torchvision: 61 million weights, 0.7 billion multiplications an image."""
    channels = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
    parts: list[nn.Module] = []
    for stage, (n_in, n_out, size, stride, padding) in enumerate(channels):
        parts += [nn.Conv2d(n_in, n_out, size, stride, padding), nn.ReLU(inplace=True)]
        parts += [nn.MaxPool2d(3, 2)] if stage in (0, 1, 4) else []
    head = [nn.Dropout(), nn.Linear(256 * 36, 4096), nn.ReLU(True), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(True)]
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(6), nn.Flatten(), *head, nn.Linear(4096, 1000))


class Bottleneck(nn.Module):
    """As in ResNet-50."""

    def __init__(self, n_in: int, width: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(n_in, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1 or n_in != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(n_in, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class ResNet50(nn.Module):
    """As in torchvision: 26 million weights, 4.1 billion multiplications an image."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        n_in = 64
        for stage, (width, n_blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
            blocks = []
            for block in range(n_blocks):
                blocks.append(Bottleneck(n_in, width, 2 if stage and not block else 1))
                n_in = 4 * width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(2048, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


NETWORKS = {"alexnet": alexnet, "resnet50": ResNet50}


@dataclass(frozen=True)
class Case:
    """What is extracted from how many images."""

    network: str
    n_images: int
    layers: str | Sequence[str] = "all"
    within: str | None = None
    normalize: str | None = "zscore"
    by: str = "neurocompare"

    def run(self, network: Network, stimuli: StimulusSet) -> None:
        if self.by == "rsatoolbox":
            _extract_like_today(network, stimuli, network.select(self.layers))
        else:
            compute_model_rdms(network, stimuli, self.layers, within=self.within, normalize=self.normalize)

    def passes(self, network: Network, n_images: int) -> list[list[Layer]]:
        """Layers of each forward pass that is needed."""
        layers = network.select(self.layers)
        if self.by == "rsatoolbox":
            return [layers]
        held = plan_passes(layers, bytes_a_unit=network.dtype.itemsize * n_images, memory_mb=MEMORY_MB)
        if self.within and len(held) > 2:
            return [layers, layers] if self.normalize else [layers]
        return [list(dict.fromkeys(block.layer for block in blocks)) for blocks in held]


CASES = {
    "alexnet, all pairs of images": Case("alexnet", 2025),
    "alexnet, views of each exemplar": Case("alexnet", 630, within="identity"),
    "resnet50, views of each exemplar": Case("resnet50", 126, within="identity"),
    "resnet50, all pairs, last two stages' blocks": Case("resnet50", 252, ("layer[34].?", "avgpool", "fc")),
    "alexnet, all pairs, few images": Case("alexnet", 630),
    "alexnet, all pairs, every layer in memory and rsatoolbox.calc_rdm": Case("alexnet", 630, by="rsatoolbox"),
}
"""The target of speed and memory is for the first; the last two are to be compared with each other."""


def extraction_table(
    cases: Sequence[str] = tuple(CASES), *, n_images: int | None = None, n_threads: int = 1, repeats: int = 1
) -> pd.DataFrame:
    """Processor time and peak memory of each case, one row a case.

    Parameters
    ----------
    cases : sequence of str
        Keys of :data:`CASES`.
    n_images : int or None
        A multiple of nine; None takes each case's own.
    n_threads : int
        Of each process; one gives the steadiest ratios on a machine that does other work too.
    repeats : int
        Extractions of a case, each between two bare runs.

    Returns
    -------
    pandas.DataFrame
        ``seconds`` of processor time of the extraction and ``passes_seconds`` of the bare forward passes that it
        needs, means over the repeats; ``ratio`` of the two, ``wall_ratio`` the same on the clock. ``passes`` is how
        many passes there are, most of which end early; ``peak_mb`` is the peak memory of the process after the
        extraction, ``passes_peak_mb`` that before.
    """
    rows = []
    for case in cases:
        command = [sys.executable, "-m", "tests.benchmarks.bench_extraction", "--one", case]
        command += ["--images", str(n_images or CASES[case].n_images)]
        command += ["--threads", str(n_threads), "--repeats", str(repeats)]
        environment = os.environ | {"OMP_NUM_THREADS": str(n_threads)}
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
        rows.append({"case": case, **json.loads(done.stdout.splitlines()[-1])})
    return pd.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; ``--images`` and ``--cases`` make it smaller or larger."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, help=f"a multiple of {N_VIEWS}; by default what suits each case")
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--repeats", type=int, default=1, help="extractions of a case, each between two bare runs")
    parser.add_argument("--one", choices=list(CASES), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        torch.set_num_threads(options.threads)
        print(json.dumps(_run(CASES[options.one], options.images, options.repeats)))
        return
    table = extraction_table(options.cases, n_images=options.images, n_threads=options.threads, repeats=options.repeats)
    with pd.option_context("display.max_colwidth", None, "display.width", 250, "display.max_columns", None):
        print(table.round(2).to_string(index=False))


def _run(case: Case, n_images: int, repeats: int) -> dict[str, float]:
    network, stimuli = _network(case.network), _stimuli(n_images)
    passes, at_once = case.passes(network, n_images), images_at_once(network, BATCH_SIZE)

    def present() -> None:
        for layers in passes:
            stream_responses(network, stimuli, layers[-1:], _ignore, batch_size=at_once, check_all=False)

    # What is made on the first use alone is no one's time.
    stream_responses(network, stimuli.take(range(BATCH_SIZE)), network.select("all")[-1:], _ignore)
    bare, taken = [_timed(present)], []
    before = _peak_mb()
    for _ in range(repeats):
        taken.append(_timed(lambda: case.run(network, stimuli)))
        peak = _peak_mb()
        bare.append(_timed(present))
    seconds, passes_seconds = np.mean(taken, axis=0), np.mean(bare, axis=0)
    layers = network.select(case.layers)
    return {
        "images": n_images,
        "layers": len(layers),
        "gigabytes": sum(layer.n_units for layer in layers) * n_images * network.dtype.itemsize / 1e9,
        "passes": len(passes),
        "passes_seconds": passes_seconds[0],
        "seconds": seconds[0],
        "ratio": seconds[0] / passes_seconds[0],
        "wall_ratio": seconds[1] / passes_seconds[1],
        "passes_peak_mb": before,
        "peak_mb": peak,
    }


def _extract_like_today(network: Network, stimuli: StimulusSet, layers: list[Layer]) -> None:
    """RDMs of z-scored units by keeping all responses of all layers, as scripts and toolboxes do."""
    import rsatoolbox

    kept: dict[str, list[np.ndarray]] = {layer.name: [] for layer in layers}
    stream_responses(network, stimuli, layers, lambda layer, _, found: kept[layer.name].append(found[0].numpy() + 0))
    for layer in layers:
        responses = np.concatenate(kept.pop(layer.name))
        spread = responses.std(axis=0)
        scores = (responses[:, spread > 0] - responses[:, spread > 0].mean(axis=0)) / spread[spread > 0]
        rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(scores), method="correlation")


def _timed(run: Callable[[], object]) -> np.ndarray:
    """Seconds of processor time and on the clock."""
    started = time.process_time(), time.perf_counter()
    run()
    return np.array([time.process_time() - started[0], time.perf_counter() - started[1]])


def _ignore(*_: object) -> None:
    return


def _network(name: str) -> Network:
    torch.manual_seed(0)
    network = Network(name, NETWORKS[name]().eval(), Preprocessing(size=SIZE))
    network.outputs  # noqa: B018 - found before the clock starts
    return network


def _stimuli(n_images: int) -> StimulusSet:
    """Gray noise, smooth over eight pixels; nine views an exemplar."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (n_images, SIZE // 8, SIZE // 8), dtype=np.uint8)
    pixels = coarse.repeat(8, axis=1).repeat(8, axis=2)
    exemplars, views = np.divmod(np.arange(n_images), N_VIEWS)
    table = pd.DataFrame(
        {
            "filename": [f"{i}.png" for i in range(n_images)],
            "identity": [f"id{i}" for i in exemplars],
            "azimuth_deg": views * 22.5 - 90,
        },
        index=pd.Index([f"s{i}" for i in range(n_images)], name="stimulus_id"),
    )
    return StimulusSet(table, pixels=pixels, name="benchmark images")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
