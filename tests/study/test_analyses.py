"""The studies in ``analyses``: each is understood, finds what it names, and runs with little of everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurocompare import run_study
from neurocompare.models import pca
from neurocompare.study.grammar import load_study
from neurocompare.study.runner import plan_study

ANALYSES = Path(__file__).resolve().parents[2] / "analyses"
STUDIES = sorted(ANALYSES.glob("*.toml"))
# Studies that train networks of their own take minutes even in little; test_training_runs.py runs a small one.
# So do large networks that others trained; to look at all of them takes half a minute. Rival mechanisms take one and a
# half; tests/measures/test_rival_mechanisms.py runs two of them.
OF_LARGE_NETWORKS = [path for path in STUDIES if path.stem.startswith(("real_networks", "monkey_it"))]
OF_SHIPPED_NETWORKS = [
    path
    for path in STUDIES
    if path not in OF_LARGE_NETWORKS and not path.stem.startswith(("training_regimes", "rival_mechanisms"))
]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_is_understood_and_listed(path):
    assert load_study(path).title
    assert path.name in (ANALYSES / "README.md").read_text()


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] if path in OF_LARGE_NETWORKS else []) for path in STUDIES],
    ids=lambda path: path.stem,
)
def test_a_study_finds_what_it_names(path, monkeypatch):
    monkeypatch.setattr(pca, "TRAINING_IDENTITIES", 6)
    settings = load_study(path)
    if path.stem == "monkey_it" and not Path(settings.stimuli.source).is_file():
        pytest.skip(f"{settings.stimuli.source} is not there: the authors' files are not part of the package")
    one_start = {
        f"models.{place}.seeds": model.seeds[:1] for place, model in enumerate(settings.models) if not model.rdms
    }
    plan = plan_study(path, overrides=one_start)
    assert plan.networks or path.stem == "rival_mechanisms"
    assert plan.measures


@pytest.mark.slow
@pytest.mark.parametrize("path", OF_SHIPPED_NETWORKS, ids=lambda path: path.stem)
def test_a_quick_run_decides_every_hypothesis_of_a_study(path, tmp_path):
    run = run_study(path, out=tmp_path / "run", quick=True)
    declared = [hypothesis.name for hypothesis in run.study.hypotheses]
    decided = run.tables["hypotheses"]["hypothesis"] if declared else []
    assert {name.partition("[")[0] for name in decided} == set(declared)
    assert (run.out / "report.html").is_file()
