"""Every kind of network that is tested: its layers, how far its RDMs are from a hand-written hook, and real images.

``python -m tests.benchmarks.architecture_table [FOLDER]`` prints the table of small networks; FOLDER holds ``fiv_s``
and defaults to ``NEUROCOMPARE_TEST_DATA`` or ``../shared/data``. With ``zoo [NAME ...]`` in its place it prints that of
well-known architectures, untrained: it needs torchvision, timm, transformers and open_clip, and takes each architecture
in a process of its own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import neural_data.samples
from neural_data import StimulusSet, read_stimuli
from neurocompare import load_model
from neurocompare.models.registry import Network
from neurocompare.representations.activations import Presentation
from neurocompare.representations.model_rdms import RdmRequest, compute_model_rdms, compute_rdm_requests
from tests.models import architectures
from tests.representations.test_model_rdms import rdms_by_hand, responses_by_hand, zscored

REPOSITORY = Path(__file__).parents[2]


def architecture_table(stimuli: StimulusSet) -> pd.DataFrame:
    """One row a network: layers found, largest relative deviation of a dissimilarity, and what the views gave.

    Deviations are over all layers, raw and z-scored, and all pairs of images whose dissimilarity is above 1e-6: below
    it the rounding of NumPy's ``1 - r`` shows.
    """
    rows = []
    for name, architecture in architectures.ARCHITECTURES.items():
        network = architectures.network(name)
        views = compute_model_rdms(network, stimuli, "all", within="identity").dissimilarities
        rows.append(
            {
                "architecture": name,
                "layers": len(network.layer_names()),
                "as named": tuple(network.layer_names()) == architecture.layers,
                "float32": _deviation(name, stimuli, torch.float32),
                "float64": _deviation(name, stimuli, torch.float64),
                "view RDMs": len(views),
                "finite": bool(np.isfinite(views).all()),
            }
        )
    return pd.DataFrame(rows)


def _deviation(name: str, stimuli: StimulusSet, dtype: torch.dtype) -> float:
    network = architectures.network(name, dtype=dtype)
    requests = {"raw": RdmRequest(normalize=None), "zscore": RdmRequest()}
    # One batch: what is compared is the arithmetic on the same responses.
    found = compute_rdm_requests(network, stimuli, "all", requests, presentation=Presentation(batch_size=len(stimuli)))
    images, largest = stimuli.images(architectures.SIZE), 0.0
    for position, layer in enumerate(network.layer_names()):
        responses = responses_by_hand(network, images, layer)
        for kind, patterns in [("raw", responses), ("zscore", zscored(responses, dtype))]:
            expected = rdms_by_hand(patterns)
            counted = expected > 1e-6
            error = np.abs(found[kind].get_matrices()[position] - expected)[counted] / expected[counted]
            largest = max(largest, float(error.max(initial=0.0)))
    return largest


def _of_transformers(model: str, config: str, **options: object) -> Callable[[], Network]:
    def make() -> Network:
        import transformers

        torch.manual_seed(0)
        module = getattr(transformers, model)(getattr(transformers, config)(**options))
        name = f"transformers:{model}"
        return load_model(module, name=name, start="gaussian", preprocessing={"size": 224}, device="cpu")

    return make


ZOO_NAMES = (
    *("torchvision:alexnet", "torchvision:vgg16", "torchvision:resnet50", "torchvision:densenet121"),
    *("torchvision:googlenet", "torchvision:inception_v3", "torchvision:mobilenet_v3_large"),
    *("torchvision:efficientnet_b0", "torchvision:convnext_tiny", "torchvision:vit_b_16", "torchvision:swin_t"),
    *("timm:resnet50", "timm:vit_small_patch16_224", "timm:swin_tiny_patch4_window7_224", "timm:mixer_s32_224"),
    *("timm:convnextv2_atto", "timm:efficientvit_b0", "open_clip:RN50", "open_clip:ViT-B-32"),
)
ZOO: dict[str, Callable[[], Network]] = {
    **{name: (lambda name=name: load_model(name, device="cpu")) for name in ZOO_NAMES},
    "transformers:ViTModel": _of_transformers("ViTModel", "ViTConfig"),
    "transformers:Dinov2Model": _of_transformers("Dinov2Model", "Dinov2Config", image_size=224),
    "transformers:ResNetModel": _of_transformers("ResNetModel", "ResNetConfig"),
    "transformers:CLIPVisionModel": _of_transformers("CLIPVisionModel", "CLIPVisionConfig"),
}


def zoo_row(name: str) -> dict[str, object]:
    """One architecture, untrained, on 30 faces: main layers, undefined RDMs, time, memory, distance from a hook."""
    stimuli = neural_data.samples.load()[0]
    stimuli = stimuli.take(range(min(30, len(stimuli))))
    network = ZOO[name]()
    before, started = time.process_time(), time.perf_counter()
    main = network.select("main")
    looked, found = time.perf_counter() - started, compute_model_rdms(network, stimuli, "main", normalize=None)
    return {
        "architecture": name,
        "main": len(main),
        "all": len(network.layer_names("all")),
        "NaN": int(np.isnan(found.dissimilarities).any(axis=1).sum()),
        "seconds": round(time.perf_counter() - started, 1),
        "of them to look at it": round(looked, 1),
        "processor seconds": round(time.process_time() - before, 1),
        "peak MB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "deviation": _from_hooks(network, stimuli, found.get_matrices(), [layer.name for layer in main]),
        "notes": len(network.inspected.notes),
    }


def _from_hooks(network: Network, stimuli: StimulusSet, matrices: np.ndarray, names: list[str]) -> float:
    """Largest relative deviation from 1 - r of what a hook on each module gives, of dissimilarities above 1e-6."""
    parts, kept = dict(network.module.named_modules()), {}
    place = {name: name.removeprefix("class_token(").rstrip(")") for name in names}
    place |= {name: "" for name in names if name == "output"}  # the network itself

    def keep(name: str, output: object) -> None:
        while not isinstance(output, torch.Tensor):
            output = output[0]
        kept.setdefault(name, []).append(output.clone())

    handles = [
        parts[module].register_forward_hook(lambda _part, _inputs, output, module=module: keep(module, output))
        for module in {name.partition(":")[0] for name in place.values()}
        if module in parts
    ]
    images = network.preprocessing(stimuli.images(network.preprocessing.shown_at))
    with torch.inference_mode():
        network.module(images)
    for handle in handles:
        handle.remove()
    largest = 0.0
    for name, matrix in zip(names, matrices, strict=True):
        module, _, call = place[name].partition(":")
        responses = kept[module][int(call or 1) - 1]
        # Tokens first in a few: the dimension that counts the images is the one of their number.
        responses = responses if len(responses) == len(stimuli) else responses.transpose(0, 1)
        responses = responses[:, 0] if name.startswith("class_token") else responses
        expected = 1 - np.corrcoef(responses.reshape(len(stimuli), -1).double().numpy())
        counted = expected > 1e-6
        largest = max(largest, float((np.abs(matrix - expected)[counted] / expected[counted]).max(initial=0.0)))
    return largest


def zoo_table(names: list[str]) -> pd.DataFrame:
    """The rows of several architectures, each made in a process of its own, so that memory is its own too."""
    rows = []
    for name in names:
        command = [sys.executable, "-m", "tests.benchmarks.architecture_table", "row", name]
        run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
        failed = {"architecture": name, "failed": run.stderr.strip().splitlines()[-1:] or run.returncode}
        rows.append(json.loads(lines[-1]) if lines else failed)
        print(rows[-1], file=sys.stderr, flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    """Print a table: of small networks on the face images, or of well-known ones."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["row"]:
        print(json.dumps(zoo_row(arguments[1])))
        return
    if arguments[:1] == ["zoo"]:
        print(zoo_table(arguments[1:] or list(ZOO)).to_string(index=False))
        return
    default = os.environ.get("NEUROCOMPARE_TEST_DATA", REPOSITORY.parent / "shared" / "data")
    folder = Path(arguments[0] if arguments else default)
    table = architecture_table(read_stimuli(folder / "fiv_s").yaw_views())
    print(table.to_string(index=False, float_format=lambda value: f"{value:.1e}"))


if __name__ == "__main__":
    main()
