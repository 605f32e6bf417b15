"""Networks by name: what they are, how they start, where they run, what is refused."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from neural_data import InputError
from neurocompare.models import hebbian, pca
from neurocompare.models.registry import OWN_NETWORKS, Network, Preprocessing, load_model
from neurocompare.representations.model_rdms import compute_model_rdms


def test_cnn_small_is_the_network_of_the_paper():
    module = load_model("cnn-small").module
    shapes = [tuple(w.shape) for w in module.parameters() if w.dim() > 1]
    assert shapes == [
        (32, 3, 3, 3), (32, 32, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3), (256, 8192), (256, 256), (10, 256),
    ]  # fmt: skip
    assert sum(isinstance(part, nn.BatchNorm2d) for part in module.modules()) == 2
    assert not module.training


def test_the_gaussian_start_has_variance_one_over_fan_in_and_follows_the_seed():
    first, same, other = (load_model("cnn-small", seed=seed).module for seed in (3, 3, 4))
    assert torch.equal(first.fc1[0].weight, same.fc1[0].weight)
    assert not torch.equal(first.fc1[0].weight, other.fc1[0].weight)
    assert first.fc1[0].weight.var().item() == pytest.approx(1 / 8192, rel=0.01)
    assert first.fc1[0].bias.abs().max() == 0


def test_the_own_start_is_he_uniform():
    weight = load_model("cnn-small", start="own").module.fc1[0].weight
    assert weight.abs().max().item() == pytest.approx((6 / 8192) ** 0.5, rel=1e-3)


def test_loading_leaves_the_global_random_state_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load_model("cnn-small", seed=9)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_checkpoint_comes_back(tmp_path, suffix):
    state = load_model("cnn-small", seed=5).module.state_dict()
    path = tmp_path / f"weights.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    network = load_model("cnn-small", weights=path)
    assert network.regime == "trained"
    assert all(torch.equal(value, state[name]) for name, value in network.module.state_dict().items())


USERS_PACKAGE = """
import torch
from torch import nn
from neurocompare.models.preprocessing import Preprocessing

class Net(nn.Module):
    preprocessing = Preprocessing(size=16)

    def __init__(self):
        super().__init__()
        self.last, self.act, self.first = nn.Linear(4, 2), nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3)
        self.pool, self.unused = nn.AdaptiveAvgPool2d(1), nn.ReLU()
        self.up = nn.ConvTranspose2d(6, 2, 5)
        self.attn = nn.MultiheadAttention(8, 2)

    def forward(self, x):
        return self.last(self.pool(self.act(self.first(x))).flatten(1))

instance = Net()
number = 3

def gives_number(): return 3
def exits(): raise SystemExit(0)
def misses_file(): open("w.pt")
def needs(width): return Net()
def wants_gpu(): return Net().to(torch.device("cuda", 99))
"""


@pytest.fixture
def users_package(tmp_path, monkeypatch):
    (tmp_path / "users_package.py").write_text(USERS_PACKAGE)
    (tmp_path / "users_raising_package.py").write_text('raise ValueError("x")\n')
    (tmp_path / "users_broken_package.py").write_text("def Net(:\n")
    monkeypatch.chdir(tmp_path)


def test_networks_of_a_users_package_are_found(users_package):
    network = load_model("users_package:Net", seed=2, start="gaussian")
    assert network.regime == "untrained"
    assert network.layer_names() == ["act", "pool", "last"]
    assert network.preprocessing.size == 16
    assert network.module.up.weight.var().item() == pytest.approx(1 / (6 * 25), rel=0.2)
    assert network.module.attn.in_proj_weight.var().item() == pytest.approx(1 / 8, rel=0.3)
    instance = load_model("users_package:instance", start="own").module
    assert type(instance).__name__ == "Net"
    assert instance is not load_model("users_package:instance", start="own").module


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("users_package:gives_number", "gives a int; it must return"),
        ("users_package:number", "is a int; name a callable"),
        ("collections:OrderedDict", "must return a torch.nn.Module"),
        ("builtins:dict", "must return a torch.nn.Module"),
        ("users_package:needs", "without arguments.*width"),
        ("users_package:gives_numbr", "did you mean 'gives_number'"),
        ("users_package:wants_gpu", "could not be made here"),
        ("users_package:exits", r"could not be made here \(SystemExit: 0, line"),
        ("users_package:misses_file", "could not be made here.*FileNotFoundError.*w.pt.*line .*users_package.py"),
        ("users_raising_package:Net", r"cannot be imported \(ValueError: x, line 1 of"),
        ("os:abort", "part of Python itself"),
        ("sys:exit", "part of Python itself"),
        ("numpy:zeros", "not a Python function or class"),
        ("users_broken_package:Net", "cannot be imported.*invalid syntax"),
        ("no_such_package:Net", "cannot be imported"),
        ("cnn-smal", "did you mean 'cnn-small'"),
    ],
)
def test_what_is_no_network_is_refused(users_package, name, message):
    with pytest.raises(InputError, match=message):
        load_model(name)


class Trained(nn.Module):
    """Weights that nobody would draw."""

    def __init__(self):
        super().__init__()
        self.conv, self.act, self.head = nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Linear(2, 4)
        nn.init.constant_(self.conv.weight, 0.25)

    def forward(self, x):
        return self.head(self.act(self.conv(x)).mean((2, 3)))


TRAINED_PACKAGE = """
from tests.models.test_registry import Trained

def make(): return Trained()
"""


def test_weights_that_come_with_a_module_are_never_touched(tmp_path, monkeypatch):
    (tmp_path / "brings_weights.py").write_text(TRAINED_PACKAGE)
    monkeypatch.chdir(tmp_path)
    held = Trained()
    for model in ("brings_weights:make", held):
        network = load_model(model, seed=4)
        assert (network.module.conv.weight == 0.25).all()
        assert network.regime == "as given"
        started = load_model(model, seed=4, start="gaussian")
        assert started.regime == "untrained"
        assert started.module.conv.weight.var().item() == pytest.approx(1 / 27, rel=0.5)
    assert (held.conv.weight == 0.25).all()


def test_a_live_module_is_taken_as_it_is_and_left_as_it_is(faces):
    torch.manual_seed(3)
    held = Trained().double()
    own = Preprocessing(size=12)
    network = load_model(held, preprocessing=own, regime="mine", seed=7)
    assert held.training
    assert network.module is not held
    assert (network.name, network.regime, network.seed, network.dtype) == ("Trained", "mine", 7, torch.float64)
    assert network.layer_names() == ["act", "head"]
    assert load_model(held, name="my network").name == "my network"
    held.preprocessing = own
    rdms = compute_model_rdms(held, faces, "head", normalize=None)
    with torch.inference_mode():
        by_hand = held.eval()(own(faces.images(12), dtype=torch.float64)).numpy()
    np.testing.assert_allclose(rdms.get_matrices()[0], 1 - np.corrcoef(by_hand), atol=1e-6)
    assert rdms.rdm_descriptors["regime"] == ["as given"]


def test_a_module_in_what_runs_it_elsewhere_is_unwrapped():
    held = Trained()
    assert load_model(nn.DataParallel(held)).layer_names() == ["act", "head"]
    compiled = nn.Module()
    compiled._orig_mod = held  # as torch.compile keeps it
    assert load_model(compiled).name == "Trained"


def test_a_module_that_keeps_a_computed_tensor_is_copied():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        held = nn.Sequential(nn.utils.weight_norm(nn.Conv2d(3, 2, 3)))
    copy = load_model(held).module
    assert torch.equal(copy[0].weight_v, held[0].weight_v)
    assert copy[0].weight_v is not held[0].weight_v


def test_what_cannot_be_copied_is_refused_with_the_way_out():
    held = Trained()
    held.lock = threading.Lock()
    with pytest.raises(InputError, match=r"Trained cannot be copied.*package\.module:function"):
        load_model(held)


def test_untrained_weights_of_a_users_module_are_said_to_be_so():
    with pytest.raises(InputError, match=r"called untrained, but keeps the weights.*start = 'gaussian'"):
        load_model(Trained(), regime="untrained")
    assert load_model(Trained(), regime="untrained", start="own").regime == "untrained"


def test_a_train_method_that_keeps_training_is_overruled(caplog):
    class Stubborn(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def train(self, mode=True):
            return super().train(True)

        def forward(self, x):
            return self.drop(x)

    network = load_model(Stubborn(), preprocessing=Preprocessing(size=4, mean=(0.0,) * 3))
    images = np.random.default_rng(0).random((2, 3, 4, 4), dtype=np.float32)
    np.testing.assert_allclose(network.forward(images), images * 4)
    assert "Stubborn: its own train() keeps 2 modules in training mode" in caplog.text


def test_complex_integer_and_boolean_weights_keep_their_kind():
    held = nn.Module()
    held.register_buffer("filters", torch.tensor([1 + 2j, 3 - 1j]))
    held.register_buffer("index", torch.tensor([2**40]))
    held.register_buffer("mask", torch.tensor([True]))
    held.weight = nn.Parameter(torch.ones(2))
    module = load_model(held, precision="float64").module
    assert module.filters.tolist() == [1 + 2j, 3 - 1j]
    assert [module.filters.dtype, module.index.dtype, module.mask.dtype, module.weight.dtype] == [
        *(torch.complex128, torch.int64, torch.bool, torch.float64)
    ]
    assert load_model(held).module.weight.dtype == torch.float32
    with pytest.raises(InputError, match="complex weights, of which bfloat16 would keep only the real part"):
        load_model(held, precision="bfloat16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {}, "start": "gaussian"}, "weights and start='gaussian' exclude each other"),
        ({"weights": "pretrained"}, "of the regimes chiral, symmetric"),
        ({"start": "zeros"}, "start must be one of"),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used.*this machine has cpu"),
        ({"device": "gpu"}, "device 'gpu' cannot be used"),
        ({"precision": "float8"}, "precision must be one of"),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        load_model("cnn-small", **options)


def test_weights_that_have_no_value_yet_are_refused():
    with pytest.raises(InputError, match=r"0\.weight has no value until the first forward pass"):
        load_model(nn.Sequential(nn.LazyConv2d(3, 3)))


def test_the_device_is_chosen_automatically():
    chosen = load_model("cnn-small").device.type
    assert chosen == ("cuda" if torch.cuda.is_available() else "cpu")
    assert load_model("cnn-small", device="cpu").device.type == "cpu"


def test_half_precision_comes_only_on_request():
    assert load_model("cnn-small").dtype == torch.float32
    network = load_model("cnn-small", precision="bfloat16")
    assert network.dtype == torch.bfloat16
    assert network.forward(np.zeros((2, 3, 32, 32), dtype=np.float32)).dtype == torch.bfloat16


@pytest.mark.parametrize("name", sorted(OWN_NETWORKS))
def test_our_own_networks_process_images_of_the_size_they_name(name, monkeypatch):
    monkeypatch.setattr(pca, "TRAINING_IDENTITIES", 6)
    monkeypatch.setattr(hebbian, "TRAINING_IDENTITIES", 1)
    network = load_model(name)
    images = np.random.default_rng(0).random((2, 3, *[network.preprocessing.size] * 2), dtype=np.float32)
    assert torch.isfinite(network.forward(images)).all()
    assert network.layer_names()


def test_a_network_says_what_it_is_without_being_run():
    network = load_model("cnn-small", seed=4)
    n_weights = sum(weight.numel() for weight in network.module.parameters())
    assert repr(network).startswith(
        f"<Network 'cnn-small', untrained, seed 4: {n_weights:,} weights on cpu; images: 32 x"
    )
    assert "inspected" not in vars(network)
    unmade = Network("lazy", nn.Sequential(nn.Flatten(), nn.LazyLinear(3)))
    assert "0 weights" in repr(unmade)
