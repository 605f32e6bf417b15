"""Steps: random numbers of their own, and results that can be kept."""

from __future__ import annotations

from neurocompare.measures.randomness import step_rng


def test_steps_draw_from_streams_of_their_own():
    assert step_rng(1, "fits").random() == step_rng(1, "fits").random()
    draws = {step_rng(seed, step).random() for seed in (1, 2) for step in ("fits", "ceilings")}
    assert len(draws) == 4
