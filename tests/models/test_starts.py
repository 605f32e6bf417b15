"""Untrained networks: every kind of parameter has a start, and nothing in them is dead."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from neural_data import InputError
from neurocompare.models.regimes import REGIMES, find_regime
from neurocompare.models.starts import apply_start, gaussian_start


class EveryKind(nn.Module):
    """One parameter of each kind, with values that no start would give."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 64, 5, groups=2)
        self.up = nn.ConvTranspose2d(8, 64, 5)
        self.norm, self.layer_norm = nn.BatchNorm2d(6), nn.LayerNorm(6)
        self.slope = nn.PReLU(3)
        self.words = nn.Embedding(40, 50)
        self.cls_token, self.pos_embed = nn.Parameter(torch.ones(1, 1, 900)), nn.Parameter(torch.ones(1, 30, 30))
        self.gamma, self.layer_scale = nn.Parameter(torch.zeros(5)), nn.Parameter(torch.zeros(5, 1, 1))
        self.beta, self.q_bias = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
        self.temperature = nn.Parameter(torch.tensor(9.0))
        self.proj = nn.Parameter(torch.ones(30, 60))
        self.filters = nn.Parameter(torch.ones(60, 50, dtype=torch.complex64))
        self.register_buffer("mask", torch.full((3,), 7.0))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            self.old = nn.utils.weight_norm(nn.Linear(30, 40))
        self.new = nn.utils.parametrizations.weight_norm(nn.Linear(30, 40))
        nn.init.zeros_(self.norm.weight)
        self.norm.running_mean.fill_(3.0)


@pytest.fixture(scope="module")
def started():
    module = EveryKind()
    gaussian_start(module, 1)
    return module


def test_kernels_have_variance_one_over_fan_in(started):
    for weight, fan_in in [
        (started.conv.weight, 2 * 25),
        (started.up.weight, 8 * 25),
        (started.old.weight_v, 30),
        (started.new.parametrizations.weight.original1, 30),
        (started.proj, 60),
    ]:
        assert weight.var().item() == pytest.approx(1 / fan_in, rel=0.15)


def test_complex_kernels_keep_both_parts(started):
    power = started.filters.abs().square().mean().item()
    assert power == pytest.approx(1 / 50, rel=0.1)
    assert started.filters.real.var().item() == pytest.approx(started.filters.imag.var().item(), rel=0.2)


def test_gains_are_one_biases_zero_and_slopes_those_of_the_literature(started):
    gains = [started.norm.weight, started.layer_norm.weight, started.gamma, started.layer_scale, started.temperature]
    gains += [started.old.weight_g, started.new.parametrizations.weight.original0]
    assert all((gain == 1).all() for gain in gains)
    biases = [started.conv.bias, started.norm.bias, started.beta, started.q_bias, started.old.bias]
    assert all((bias == 0).all() for bias in biases)
    assert (started.slope.weight == 0.25).all()


def test_embeddings_are_small_and_random(started):
    for weight in (started.words.weight, started.cls_token, started.pos_embed):
        assert weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_nothing_of_a_training_stays_and_buffers_that_are_computed_do(started):
    assert (started.norm.running_mean == 0).all()
    assert (started.norm.running_var == 1).all()
    assert (started.mask == 7).all()


def test_the_seed_decides_and_the_own_start_changes_nothing():
    modules = [EveryKind() for _ in range(3)]
    for module, seed in zip(modules, (1, 1, 2), strict=True):
        gaussian_start(module, seed)
    first, same, other = (module.conv.weight for module in modules)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    before = EveryKind()
    after = {name: value.clone() for name, value in before.state_dict().items()}
    apply_start(before, "own", 3)
    assert all(torch.equal(value, after[name]) for name, value in before.state_dict().items())


def test_a_start_that_is_not_defined_is_refused():
    module = nn.Module()
    module.weight = nn.Parameter(torch.eye(3).to_sparse())
    with pytest.raises(InputError, match="parameter 'weight' is sparse"):
        gaussian_start(module, 0)
    with pytest.raises(InputError, match="did you mean 'gaussian'"):
        apply_start(module, "gausian", 0)


def test_regimes_are_found_by_name_and_others_refused():
    assert all(find_regime(name) is regime for name, regime in REGIMES.items())
    with pytest.raises(InputError, match="did you mean 'mirror-same'"):
        find_regime("mirror_same")
