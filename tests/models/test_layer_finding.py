"""Which outputs are layers, what they are called, and what names and patterns mean."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn

from neural_data import InputError
from neurocompare.models import paper_names
from neurocompare.models.layers import select_layers, tensors_in
from neurocompare.models.registry import Network, Preprocessing, layer_table, load_model
from tests.models import architectures


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_the_layers_that_a_neuroscientist_would_name_are_found_in_order(name):
    assert tuple(architectures.network(name).layer_names()) == architectures.ARCHITECTURES[name].layers


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_every_output_has_a_name_of_its_own(name):
    names = [layer.name for layer in architectures.network(name).outputs]
    assert len(set(names)) == len(names)


def test_our_own_networks_say_what_their_layers_are():
    network = load_model("cnn-small")
    assert network.layer_names() == list(network.module.layer_names)


def test_a_declared_layer_that_does_not_exist_is_refused():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    module.layer_names = ("relu",)
    with pytest.raises(InputError, match="layer_names names 'relu', which is not computed"):
        Network("declares", module, Preprocessing(size=8)).layer_names()


def test_images_that_do_not_fit_the_network_are_refused():
    network = Network("flat", nn.Sequential(nn.Flatten(), nn.Linear(10, 2)), Preprocessing(size=8))
    with pytest.raises(InputError, match=r"cannot process images of shape \(3, 8, 8\).*size"):
        network.layer_names()


MAIN = {
    "residual": ["relu", "maxpool", "layer1.0", "layer1.1", "layer2.0.downsample", "layer2.0", "avgpool", "fc"],
    "vision transformer": [
        *("patch_embed", "blocks.0", "class_token(blocks.0)", "blocks.1", "class_token(blocks.1)"),
        *("norm", "class_token(norm)", "head"),
    ],
    "sequential": ["relu1", "pool1", "relu2", "fc"],
}


@pytest.mark.parametrize("name", MAIN)
def test_main_layers_are_blocks_pooling_full_layers_and_tokens(name):
    assert architectures.network(name).layer_names("main") == MAIN[name]


class Deep(nn.Module):
    """Stages of many residual blocks, as ResNet-152 has them, and a head."""

    def __init__(self, *depths):
        super().__init__()
        self.stem, self.relu = nn.Conv2d(3, 6, 3), nn.ReLU()
        self.stages = nn.Sequential(
            *(nn.Sequential(*(architectures.ResidualBlock(6, 6, 1) for _ in range(n))) for n in depths)
        )
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 5)

    def forward(self, x):
        return self.fc(self.pool(self.stages(self.relu(self.stem(x)))).flatten(1))


@pytest.mark.parametrize("depths", [(3, 4, 6, 3), (3, 8, 36, 3), (60,), (1, 1, 1)])
def test_main_is_8_to_25_layers_with_the_end_of_every_stage(depths):
    network = Network("deep", Deep(*depths).eval(), Preprocessing(size=16))
    main, every = network.layer_names("main"), network.layer_names("all")
    assert 8 <= len(main) <= 25
    assert set(main) <= set(every)
    assert main == [name for name in every if name in main]
    assert {f"stages.{i}.{n - 1}" for i, n in enumerate(depths)} | {"pool", "fc"} <= set(main)
    if sum(depths) <= 16:
        assert all(f"stages.{i}.{k}" in main for i, n in enumerate(depths) for k in range(n))


def test_stages_are_those_of_timms_feature_info():
    module = Deep(4, 40).eval()
    module.feature_info = [{"module": "relu"}, {"module": "stages.0.1"}, {"module": "stages.1.22"}]
    assert {"relu", "stages.0.1", "stages.1.22"} <= set(
        Network("deep", module, Preprocessing(size=16)).layer_names("main")
    )


def test_names_of_papers_are_names_of_layers(monkeypatch):
    module = nn.Sequential(
        OrderedDict(
            features=nn.Sequential(
                *(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1), nn.ReLU(), nn.MaxPool2d(2)),
            ),
            avgpool=nn.AdaptiveAvgPool2d(2),
            flat=nn.Flatten(),
            classifier=nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)),
        )
    ).eval()
    for numbered, names in [
        (paper_names._numbered, ["conv1", "pool1", "conv2", "conv3", "pool3", "fc4", "fc5"]),
        (paper_names._by_block, ["conv1_1", "pool1", "conv2_1", "conv2_2", "pool2", "fc3", "fc4"]),
    ]:
        monkeypatch.setitem(paper_names.PAPER_NAMES, "torch.nn.modules.container.Sequential", numbered)
        network = Network("alexnet", module, Preprocessing(size=16))
        assert [name for name in layer_table(network)["paper"] if name] == names
        assert [layer.name for layer in network.select(names[::2])] == [
            *("features.1", "features.4", "features.7", "classifier.2")
        ]
        assert [layer.name for layer in network.select(f"avgpool({names[0]})")] == ["avgpool(features.1)"]


def select(name, wanted):
    return [layer.name for layer in architectures.network(name).select(wanted)]


@pytest.mark.parametrize(
    ("name", "wanted", "expected"),
    [
        ("sequential", ["fc", "relu*"], ["relu1", "relu2", "fc"]),
        # A pattern means listed layers where it can; names reach every output.
        ("residual", "layer1.?", ["layer1.0", "layer1.1"]),
        ("residual", ["layer2", "conv1"], ["conv1", "layer2"]),
        ("residual", "layer1.0.conv*", ["layer1.0.conv1", "layer1.0.conv2"]),
        ("recurrent", "relu", ["relu"]),
        ("recurrent", "relu*", ["relu", "relu:2", "relu:3"]),
        ("returns dict", "features[low]", ["features[low]"]),
        ("vision transformer", "class_token(blocks.*)", ["class_token(blocks.0)", "class_token(blocks.1)"]),
        ("vision transformer", "blocks.0.mlp.act", ["blocks.0.mlp.act"]),
        ("vision transformer", ["avgpool(blocks.1)", "blocks.1"], ["blocks.1", "avgpool(blocks.1)"]),
        ("sequential", ["maxpool(relu*)", "all"],
         ["relu1", "maxpool(relu1)", "pool1", "relu2", "maxpool(relu2)", "fc"]),
        ("residual", "layer1.*", ["layer1.0", "layer1.1"]),
        ("residual", "layer1.[!0]", ["layer1.1"]),
        ("residual", "**.relu", ["layer1.0.relu", "layer1.1.relu", "layer2.0.relu"]),
        ("residual", "*pool", ["maxpool", "avgpool"]),
        ("sequential", "main", ["relu1", "pool1", "relu2", "fc"]),
        ("sequential", "avgpool(*)", ["avgpool(relu1)", "avgpool(pool1)", "avgpool(relu2)"]),
    ],
)  # fmt: skip
def test_names_and_patterns(name, wanted, expected):
    assert select(name, wanted) == expected


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("relu3", "sequential has no layer 'relu3': did you mean 'relu2'"),
        ("conv11", "did you mean 'conv1'"),
        ("features.*", "has no layer 'features.\\*'"),
        ("avgpool(fc)", "layer 'fc' has no map to pool over"),
        ("avgpool(relu9)", "has no layer 'relu9'"),
        ("class_token(relu1)", "has no tokens"),
    ],
)
def test_layers_that_do_not_exist_are_refused(wanted, message):
    with pytest.raises(InputError, match=message):
        select_layers(architectures.network("sequential").outputs, wanted, where="sequential")


def test_a_star_that_stops_too_early_is_explained():
    with pytest.raises(InputError, match=r"'\*' stops at a dot; did you mean 'layer1\*\*relu'"):
        architectures.network("residual").select("layer1*relu")


def test_pooled_tokens_are_averaged_over_tokens_and_maps_over_space():
    transformer, network = architectures.network("vision transformer"), architectures.network("sequential")
    assert transformer.select("avgpool(blocks.0)")[0].shape == (12,)
    layer = network.select("avgpool(relu1)")[0]
    maps = torch.arange(2 * 6 * 4.0).reshape(2, 6, 2, 2)
    torch.testing.assert_close(layer.responses(maps), maps.mean((2, 3)))


def test_the_index_of_a_layer_is_its_place_among_the_layers_or_that_of_the_last_one_before():
    network = architectures.network("vision transformer")
    index = {layer.name: network.layer_index(layer) for layer in network.select(["all", "avgpool(norm)", "blocks.1.*"])}
    names = network.layer_names()
    assert [index[name] for name in names] == list(range(len(names)))
    assert index["avgpool(norm)"] == index["norm"]
    assert index["blocks.1.attn"] == index["class_token(blocks.0)"]


def test_the_table_of_layers_states_kind_shape_and_units():
    table = layer_table(architectures.network("residual")).set_index("layer")
    assert table.loc["layer2.0"].tolist()[:4] == [True, "block", "8 x 4 x 4", 128]
    assert table.loc["avgpool"].tolist()[:4] == [True, "pooling", "8 x 1 x 1", 8]
    assert table.loc["bn1", ["main", "kind"]].tolist() == [False, "normalisation"]
    # Eight convolutions and linear layers; the second comes before the first block's first normalisation.
    assert table.loc["bn1", "depth"] == pytest.approx(1 / 9)
    assert table.loc["fc", "depth"] == 1
    assert list(layer_table(architectures.network("residual"), "main")["layer"]) == MAIN["residual"]


def test_tensors_are_found_in_tuples_and_dictionaries():
    one, two = torch.zeros(1), torch.ones(2)
    found = dict(tensors_in({"a": one, "b": (3, [two, None])}))
    assert set(found) == {("a",), ("b", 1, 0)}
    assert found["b", 1, 0] is two


def test_looking_for_layers_leaves_no_hooks_and_no_gradients():
    module = architectures.Residual().eval()
    Network("residual", module, Preprocessing(size=32)).layer_names()
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    assert all(weight.grad is None for weight in module.parameters())
