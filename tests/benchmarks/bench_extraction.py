"""Extraction of layer RDMs against bare forward passes, and against how people extract today.

``python -m tests.benchmarks.bench_extraction`` prints a table. Each row runs in a process of its own, so that its peak
memory is its own, and begins with the bare passes that it is compared with: the same forward passes over the same
batches, ended at the same layers, with nothing done to the responses.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from neural_data import StimulusSet
from neurocompare.models.layers import Layer
from neurocompare.models.registry import Network, Preprocessing
from neurocompare.representations.activations import MEMORY_MB, plan_passes, stream_responses
from neurocompare.representations.model_rdms import compute_model_rdms

REPOSITORY = Path(__file__).parents[2]
N_IMAGES = 2025
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
CASES = {
    "alexnet, views of each exemplar": ("alexnet", "all", "identity", True),
    "alexnet, all pairs of images": ("alexnet", "all", None, True),
    "alexnet, all pairs, raw": ("alexnet", "all", None, False),
    "resnet50, views of each exemplar": ("resnet50", "all", "identity", True),
    "resnet50, all pairs, last two stages' blocks": ("resnet50", ["layer[34].?", "avgpool", "fc"], None, True),
}
"""Network, layers, within, and whether units are z-scored."""
TODAY = "alexnet, all pairs, every layer in memory and rsatoolbox.calc_rdm"


def extraction_table(
    n_images: int = N_IMAGES, cases: Sequence[str] = (*CASES, TODAY), *, n_threads: int | None = None
) -> pd.DataFrame:
    """Time and peak memory of each case, one row a case; on a busy machine one thread gives the steadier ratios.

    ``seconds`` stands beside ``passes_seconds``, the bare forward passes that the case needs; ``ratio`` is the first
    over the second and ``processor_ratio`` the same of processor time. ``full_passes`` is how many whole passes over
    the network they are worth; ``peak_mb`` is the peak memory of the process and ``passes_peak_mb`` that before.
    """
    rows = []
    for case in cases:
        command = [sys.executable, "-m", "tests.benchmarks.bench_extraction", "--one", case, "--images", str(n_images)]
        command += ["--threads", str(n_threads)] if n_threads else []
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        rows.append({"case": case, **json.loads(done.stdout.splitlines()[-1])})
    return pd.DataFrame(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table; ``--images`` and ``--cases`` make it smaller."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=N_IMAGES, help=f"a multiple of {N_VIEWS}")
    parser.add_argument("--cases", nargs="*", default=[*CASES, TODAY], choices=[*CASES, TODAY])
    parser.add_argument("--threads", type=int, help="of each process; by default as many as torch takes")
    parser.add_argument("--one", choices=[*CASES, TODAY], help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(_run_today(options.images) if options.one == TODAY else _run(options.one, options.images)))
        return
    with pd.option_context("display.max_colwidth", None, "display.width", 200):
        print(
            extraction_table(options.images, options.cases, n_threads=options.threads).round(2).to_string(index=False)
        )


def _run(case: str, n_images: int) -> dict[str, float]:
    name, wanted, within, zscored = CASES[case]
    stimuli, network = _stimuli(n_images), _network(name)
    layers = network.select(wanted)
    passes = [list(dict.fromkeys(block.layer for block in blocks)) for blocks in _held(layers, n_images)]
    if within and len(passes) > 2:
        passes = [layers, layers] if zscored else [layers]
    bare = _timed(lambda: [stream_responses(network, stimuli, of_pass[-1:], _ignore) for of_pass in passes])
    full = _timed(lambda: stream_responses(network, stimuli, network.select("all")[-1:], _ignore))
    before = _peak_mb()
    options = {"within": within, "normalize": "zscore" if zscored else None}
    taken = _timed(lambda: compute_model_rdms(network, stimuli, wanted, **options))
    return {**_row(layers, n_images, len(passes), full, bare, taken), "passes_peak_mb": before, "peak_mb": _peak_mb()}


def _run_today(n_images: int) -> dict[str, float]:
    import rsatoolbox

    stimuli, network = _stimuli(n_images), _network("alexnet")
    layers = network.select("all")
    bare = _timed(lambda: stream_responses(network, stimuli, layers[-1:], _ignore))
    before = _peak_mb()

    def extract() -> None:
        kept: dict[str, list[np.ndarray]] = {layer.name: [] for layer in layers}
        stream_responses(
            network, stimuli, layers, lambda layer, _, found: kept[layer.name].append(found[0].numpy() + 0)
        )
        for layer in layers:
            responses = np.concatenate(kept.pop(layer.name))
            spread = responses.std(axis=0)
            scores = (responses[:, spread > 0] - responses[:, spread > 0].mean(axis=0)) / spread[spread > 0]
            rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(scores), method="correlation")

    taken = _timed(extract)
    return {**_row(layers, n_images, 1, bare, bare, taken), "passes_peak_mb": before, "peak_mb": _peak_mb()}


def _row(
    layers: list[Layer], n_images: int, n_passes: int, full: np.ndarray, bare: np.ndarray, taken: np.ndarray
) -> dict[str, float]:
    return {
        "n_layers": len(layers),
        "gigabytes": sum(layer.n_units for layer in layers) * n_images * 4 / 1e9,
        "passes": n_passes,
        "full_passes": bare[1] / full[1],
        "passes_seconds": bare[0],
        "seconds": taken[0],
        "ratio": taken[0] / bare[0],
        "processor_ratio": taken[1] / bare[1],
    }


def _timed(run: Callable[[], object]) -> np.ndarray:
    """Seconds on the wall and of processor time; on a shared machine the second is steadier."""
    started = time.perf_counter(), time.process_time()
    run()
    return np.array([time.perf_counter() - started[0], time.process_time() - started[1]])


def _ignore(*_: object) -> None:
    return


def _held(layers: list, n_images: int) -> list:
    return plan_passes(layers, bytes_a_unit=4 * n_images, memory_mb=MEMORY_MB)


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
