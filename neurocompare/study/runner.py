"""A study from its file to its run folder: every step made once, kept, and found again by the next run.

Only this module decides what runs where; ``steps`` says what is computed, ``cache`` keeps it, ``workers`` spreads it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from rsatoolbox.rdm import RDMs

from neural_data.stimuli import StimulusSet
from neurocompare.comparison.fit_result import FitResult
from neurocompare.measures.declaration import VALUES, Measure, Measured, Patches, Tables, needs_of
from neurocompare.measures.fits import shown_fits
from neurocompare.measures.page import write_report
from neurocompare.progress_lines import SaidOnce
from neurocompare.reporting.tables import latex_table, markdown_table, ordered, write_table
from neurocompare.representations.rdm_files import write_rdms
from neurocompare.representations.rdms import concat_rdms
from neurocompare.study.cache import Cache, open_cache
from neurocompare.study.folders import LOG, whole_folder
from neurocompare.study.grammar import Study, load_study
from neurocompare.study.inputs import Inputs
from neurocompare.study.networks import NetworkRecord, with_weights
from neurocompare.study.planning import Plan, PlannedMeasure, Step, make_plan, needs_images, values_of
from neurocompare.study.provenance import write_provenance
from neurocompare.study.quick import quick_study
from neurocompare.study.recipes import image_size
from neurocompare.study.steps import (
    draw_to_files,
    fit_layers,
    measure_network,
    measure_patches,
    obtain_recording,
    present,
    render_stimuli,
    with_background,
)
from neurocompare.study.training import read_images_to_train_on, train
from neurocompare.study.workers import Task, n_cores, run_tasks, threads_per_task

__all__ = ["Run", "plan_study", "run_study"]

log = logging.getLogger(__name__)

WORTH_WORKERS_SECONDS = 20.0
"""Less expected work is done in this process, unless workers are asked for: each takes some five seconds to start."""
Place = TypeVar("Place")
Progress = Callable[[str, float], None]
"""Told the name of the step that starts, and the share (0..1) of the expected time that is over."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Parameters
    ----------
    out : pathlib.Path
        The run folder.
    tables : dict of str to pandas.DataFrame
        Its tables, as in ``tables/*.csv``.
    study : Study
        As it was resolved.
    """

    out: Path
    tables: Tables
    study: Study


def plan_study(
    study: str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | None = None,
    device: str = "auto",
    quick: bool = False,
    imports: bool = True,
) -> Plan:
    """Check everything about a study that can be checked without computing, and lay out its steps.

    Parameters
    ----------
    study, overrides, device, quick
        As :func:`run_study` takes them.
    imports : bool
        False runs no code that the study names: networks by import path are left out of the plan.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If anything given is wrong.
    """
    settings = load_study(study, overrides)
    return make_plan(quick_study(settings) if quick else settings, device=device, imports=imports)


def run_study(
    study: str | Path | Mapping[str, Any],
    *,
    out: str | Path,
    overrides: Mapping[str, Any] | None = None,
    n_jobs: int | None = None,
    dask: str | None = None,
    device: str = "auto",
    quick: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Run a study and write its run folder.

    Parameters
    ----------
    study : str, Path or mapping
        A study file (TOML) or its content.
    out : str or Path
        Run folder: absent, empty, or an earlier run, which is replaced. Written whole or not at all.
    overrides : mapping of str to value, or None
        Dotted keys and values that replace those of the study.
    n_jobs : int or None
        Worker processes that networks are presented on. None: as many as there are cores for, where the work is worth
        it. Results do not depend on it, to the last bit.
    dask : str or None
        Address of a Dask scheduler whose workers are used instead.
    device : str
        ``auto`` (an accelerator where there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    quick : bool
        A first look, with less of everything.
    progress : callable or None
        Called with the name of each step as it starts and the share of the study that is done.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If anything given is wrong; nothing is written then. Finished steps stay in the cache.
    """
    with whole_folder(out) as folder, _logged(folder):
        cache = open_cache()
        (progress or _silent)("checking", 0.0)
        inputs = Inputs()
        inputs.look_at(load_study(study, overrides))
        plan = plan_study(study, overrides=overrides, device=device, quick=quick)
        inputs.look_at(plan.settings)
        work = _Work(plan, cache, inputs, n_jobs=n_jobs, dask=dask, progress=progress or _silent)
        tables = work.write(folder, quick=quick)
        inputs.refuse_changes()
    (progress or _silent)("done", 1.0)
    return Run(Path(out), tables, plan.settings)


def _silent(_name: str, _share: float) -> None:
    """Progress that nobody looks at."""


class _Work:
    """The steps of a plan, made or found in the cache."""

    def __init__(
        self, plan: Plan, cache: Cache, inputs: Inputs, *, n_jobs: int | None, dask: str | None, progress: Progress
    ):
        self.plan, self.cache, self.inputs, self.settings = plan, cache, inputs, plan.settings
        self.n_jobs, self.dask, self.progress = n_jobs, dask, progress
        self.expected = plan.expected_seconds(cache)
        self.done: set[str] = set()

    def write(self, folder: Path, *, quick: bool) -> Tables:
        """Run everything and fill the run folder."""
        networks, curves, kept = self.networks()
        stimuli = self.stimuli()
        recording = self.plan.recording
        if self.settings.recording.kind == "simulated":
            recording = obtain_recording(self.settings, stimuli)
        given: dict[str, Any] = {
            **values_of(self.settings),
            "stimuli": stimuli,
            "simulated": recording is not None and bool(recording.attrs.get("simulated", False)),
            "training_curves": curves,
            "hypotheses": tuple(self.settings.hypotheses),
        }
        shown = self.shown(networks, given)
        given |= {kind: concat_rdms([shown["", i][kind] for i in range(len(networks))]) for kind in self.plan.kinds}
        layers = [given["layer_rdms"]] if "layer_rdms" in given else []
        if layers or self.plan.layers:
            given["layer_rdms"] = concat_rdms([*layers, *self.plan.layers])
        if recording is not None:
            given["recording"] = recording
            rdms = given["dissimilarity"], given["normalize"]
            given["patches"] = self.made(self.plan.patches, lambda: measure_patches(recording, stimuli, *rdms))
        elif self.plan.patch_rdms is not None:
            given["patches"] = Patches(self.plan.patch_rdms, None)
        tables, notes = self.measured(networks, kept, given, shown)
        # Seeds of one network have the same to say.
        notes = list(
            dict.fromkeys([*self.plan.left_out, *(note for network in networks for note in network.notes), *notes])
        )
        given |= tables
        figures: dict[str, bytes] = {}
        for drawing, names, step in self.plan.figures:
            drawn = {name: given[name] for name in names if name in given}
            if all(name in drawn for name, must in needs_of(drawing.draw).items() if must):
                figures |= self.made(step, lambda d=drawing, drawn=drawn: draw_to_files(d.name, d.draw, drawn))
        self.progress("report", 0.99)
        patches = given["patches"].rdms if "patches" in given else None
        _write_run(folder, tables, {"layers": given.get("layer_rdms"), "patches": patches}, figures)
        write_provenance(
            folder,
            self.settings,
            stimuli=stimuli,
            stimuli_checksum=stimuli.checksum() if needs_images(self.settings) else stimuli.table_checksum(),
            recording=recording,
            networks=networks,
            notes=notes,
            quick=quick,
        )
        write_report(folder)
        return tables

    def shown(self, networks: list[NetworkRecord], given: Mapping[str, Any]) -> dict[tuple[str, int], Any]:
        """What every network gives by itself: RDMs, under ``""`` and its place, and measures, under their key."""
        steps = {("", place): step for place, step in enumerate(self.plan.presentations)}
        planned = {one.measure.key: one for one in self.plan.measures if self.is_shown(one)}
        steps |= {(key, place): step for key, one in planned.items() for place, step in one.steps.items()}
        # Images travel to a cluster as they are stored, which takes fewer bytes; each task prepares them there.
        sizes = () if self.dask else {network.shown_at for network in networks}
        prepared = functools.cache(lambda: given["stimuli"].prepare(*sizes))
        rdms = self.plan.kinds, given["dissimilarity"], given["normalize"]

        def task(name: tuple[str, int]) -> Task:
            key, place = name
            if not key:
                return present, (networks[place], prepared(), *rdms)
            arguments = self.arguments(planned[key], given)
            if "stimuli" in arguments:
                arguments["stimuli"] = prepared()
            return measure_network, (key, networks[place], arguments)

        return self.many(steps, task, n_threads=threads_per_task(len(networks)))

    def measured(
        self,
        networks: list[NetworkRecord],
        kept: Mapping[int, Mapping[str, bytes]],
        given: Mapping[str, Any],
        shown: Mapping[tuple[str, int], Measured],
    ) -> tuple[Tables, list[str]]:
        """Tables of all measures by name, and notes on them."""
        tables: Tables = {}
        notes: list[str] = []
        fits: FitResult | None = None
        for planned in self.plan.measures:
            measure, steps = planned.measure, planned.steps
            there = {**given, **tables, "tables": tables}
            if "fit_result" in measure.needs:
                fits = fits or self.made(
                    self.plan.fits,
                    lambda there=there: fit_layers(
                        **{name: there[name] for name in needs_of(fit_layers) if name in there}
                    ),
                )
                there["fit_result"] = fits
            arguments = self.arguments(planned, there)
            if self.is_shown(planned):
                found = [shown[measure.key, place] for place in steps]
            elif measure.per_network:
                # Each network's part depends on what was measured before, such as the patches.
                made = self.many(
                    steps,
                    lambda place, key=measure.key, given=arguments: (
                        measure_network,
                        (key, networks[place], given, kept.get(place)),
                    ),
                    n_threads=threads_per_task(len(networks)),
                )
                found = list(made.values())
            else:
                found = [self.made(steps[None], functools.partial(measure.compute, **arguments))]
            notes += [note for one in found for note in one.notes]
            tables |= _declared_tables(measure, found)
        return tables, notes

    @staticmethod
    def is_shown(planned: PlannedMeasure) -> bool:
        """Whether a measure needs one network, stimuli and values alone, so that it can be made beside the RDMs."""
        alone = {"network", "layers", "stimuli", *VALUES}
        return planned.measure.per_network and planned.measure.needs.keys() <= alone

    @staticmethod
    def arguments(planned: PlannedMeasure, there: Mapping[str, Any]) -> dict[str, Any]:
        """What a measure is given, but for what belongs to one network."""
        arguments = {name: there[name] for name in planned.given if name in there}
        return arguments if planned.settings is None else {**arguments, "settings": planned.settings}

    def stimuli(self) -> StimulusSet:
        """What is shown: rendered, found in the cache, or read by the plan."""
        if self.plan.rendering is None:
            return self.plan.stimuli
        rendered = self.made(
            self.plan.rendering, lambda: render_stimuli(self.settings, n_jobs=self.n_jobs or n_cores())
        )
        return with_background(rendered, self.settings)

    def networks(self) -> tuple[list[NetworkRecord], pd.DataFrame | None, dict[int, dict[str, bytes]]]:
        """The networks with their weights, the learning curves of those that are trained, and their kept states."""
        networks, curves, kept = list(self.plan.networks), [], {}
        planned = self.plan.trainings
        data: dict[str, Any] = {}

        def task(place: int) -> Task:
            network, dataset = networks[place], planned[place].dataset
            if dataset.key not in data:
                training, size = network.model.training, image_size(network.model)
                data[dataset.key] = self.made(
                    dataset, lambda: read_images_to_train_on(training, size, n_jobs=self.n_jobs or n_cores())
                )
            state = self.cache.folder / "training" / network.training
            return train, (network.model, network.seed, data[dataset.key], state, network.device)

        results = self.many(
            {place: steps.training for place, steps in planned.items()}, task, n_threads=threads_per_task(len(planned))
        )
        for place, result in results.items():
            network = with_weights(networks[place], result["weights"])
            networks[place], kept[place] = network, result["kept"]
            names = {"model": network.model.shown_as, "regime": network.regime, "seed": network.seed}
            curves.append(result["curve"].assign(**names))
            with contextlib.suppress(OSError):
                (self.cache.folder / "training" / network.training).rmdir()
        return networks, pd.concat(curves, ignore_index=True) if curves else None, kept

    def many(self, steps: Mapping[Place, Step], task: Callable[[Place], Task], *, n_threads: int) -> dict[Place, Any]:
        """Results of steps that do not depend on each other, in their order; those that are not kept go to workers.

        What another run is making at this moment is waited for at the end, so that no two runs wait for each other.
        """
        results = {place: self.found(step) for place, step in steps.items()}
        missing = [place for place, result in results.items() if result is None]
        with contextlib.ExitStack() as locks:
            free = [i for i in missing if locks.enter_context(self.cache.lock(steps[i].key, wait=False))]
            tasks = [task(i) for i in free]
            n_jobs = self.n_jobs
            if n_jobs is None and sum(self.expected[steps[i].key] for i in free) < WORTH_WORKERS_SECONDS:
                n_jobs = 1
            self.tell(", ".join(steps[i].label for i in free[:1]) + (", ..." if len(free) > 1 else ""))
            start = time.perf_counter()
            for number, result in run_tasks(tasks, n_threads=n_threads, n_jobs=n_jobs, dask=self.dask):
                step = steps[free[number]]
                seconds, start = time.perf_counter() - start, time.perf_counter()
                results[free[number]] = self.kept(step, result, seconds)
        for i in missing:
            if results[i] is None:
                results[i] = self.made(steps[i], lambda i=i: _called(task(i)), waiting=True)
        return results

    def made(self, step: Step, make: Callable[[], Any], *, waiting: bool = False) -> Any:
        """Result of a step, from the cache where it is kept."""
        self.tell(step.label + (" (waiting for another run)" if waiting else ""))
        start = time.perf_counter()

        def made() -> Any:
            value = make()
            self.inputs.refuse_changes()
            return value

        result = self.cache.obtain(step.key, made, kind=step.kind, label=step.label, work=step.work)
        self.finish(step, time.perf_counter() - start)
        return result

    def found(self, step: Step) -> Any | None:
        """Kept result of a step, or None."""
        try:
            result = self.cache.load(step.key)
        except KeyError:
            return None
        self.finish(step, 0.0)
        return result

    def kept(self, step: Step, result: Any, seconds: float) -> Any:
        """The result of a step that workers made, as the cache gives it."""
        self.inputs.refuse_changes()
        result = self.cache.store(step.key, result, kind=step.kind, label=step.label, seconds=seconds, work=step.work)
        self.finish(step, seconds)
        return result

    def finish(self, step: Step, seconds: float) -> None:
        """Note that a step is over."""
        self.done.add(step.key)
        log.info("%s: %.2f s", step.label, seconds)
        self.tell(step.label)

    def tell(self, name: str) -> None:
        """Say what runs, and the share of the expected time that is over."""
        total = sum(self.expected.values())
        over = sum(self.expected[key] for key in self.done)
        self.progress(name, 0.98 * over / total if total else 0.98)


def _declared_tables(measure: Measure, found: Sequence[Measured]) -> Tables:
    """Tables of a measure with their declared columns, those of all networks joined, and their summaries."""
    tables = {}
    for declared in measure.tables:
        parts = [one.tables[declared.name] for one in found if declared.name in one.tables]
        if parts:
            joined = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
            tables[declared.name] = ordered(joined, declared)
    for summary in measure.summaries:
        if summary.source in tables:
            tables[summary.table.name] = ordered(summary.summarise(tables[summary.source]), summary.table)
    return tables


def _called(task: Task) -> Any:
    function, arguments = task
    return function(*arguments)


def _write_run(folder: Path, tables: Tables, rdms: Mapping[str, RDMs | None], figures: Mapping[str, bytes]) -> None:
    for name in ("tables", "rdms", "figures"):
        (folder / name).mkdir()
    for name, table in tables.items():
        write_table(table, name, folder / "tables")
    if "fits" in tables:
        printed = shown_fits(tables["fits"])
        (folder / "tables" / "fits.md").write_text(markdown_table(printed), encoding="utf-8")
        (folder / "tables" / "fits.tex").write_text(latex_table(printed), encoding="utf-8")
    for name, found in rdms.items():
        if found is not None:
            write_rdms(found, folder / "rdms" / f"{name}.hdf5")
    for name, content in figures.items():
        (folder / "figures" / name).write_bytes(content)


@contextlib.contextmanager
def _logged(folder: Path) -> Iterator[None]:
    """Messages of the package also go to the log of the run."""
    handler = logging.FileHandler(folder / LOG, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(SaidOnce())
    loggers = [logging.getLogger(name) for name in ("neurocompare", "neural_data")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
        handler.close()
