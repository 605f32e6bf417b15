"""Runs a study: computes its steps, or takes them from the cache, and writes the run folder.

This module decides what runs where; the computations are in ``steps``, results are stored by ``cache`` and distributed
by ``workers``.
"""

from __future__ import annotations

import contextlib
import dataclasses
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
from neurocompare.measures.declaration import LayerRdms, Measure, Measured, Patches, Tables, Things, Values, needs_of
from neurocompare.measures.fits import shown_fits
from neurocompare.measures.page import write_report
from neurocompare.notebook_progress import progress_or_bar
from neurocompare.progress_lines import Progress, SaidOnce
from neurocompare.reporting.tables import latex_table, markdown_table, ordered, write_table
from neurocompare.representations.rdm_files import write_rdms
from neurocompare.representations.rdms import concat_rdms
from neurocompare.study.cache import Cache, Result, open_cache
from neurocompare.study.grammar import Study, load_study
from neurocompare.study.inputs import Inputs
from neurocompare.study.networks import NetworkRecord, with_weights
from neurocompare.study.planning import Plan, PlannedMeasure, Step, make_plan, needs_images, values_of
from neurocompare.study.provenance import write_provenance
from neurocompare.study.quick import quick_study
from neurocompare.study.recipes import image_size
from neurocompare.study.run_folders import LOG, whole_folder
from neurocompare.study.steps import (
    draw_to_files,
    fit_layers,
    joined_shares,
    measure_network,
    measure_patches,
    network_rdms,
    network_share,
    render_stimuli,
    shares_of_layers,
    simulate_recording,
    with_background,
)
from neurocompare.study.training_runs import ImagesToTrainOn, TrainedWeights, read_images_to_train_on, train_weights
from neurocompare.study.workers import Shares, Task, n_cores, run_tasks, shares_per_task, threads_per_task

__all__ = ["Run", "plan_study", "run_study"]

log = logging.getLogger(__name__)

WORTH_WORKERS_SECONDS = 20.0
"""With less expected work, seconds, no workers are started unless requested: each takes five seconds to start."""
Place = TypeVar("Place")


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run.

    Parameters
    ----------
    out : pathlib.Path
        The run folder.
    tables : dict of str to pandas.DataFrame
        Its tables, as in ``tables/*.csv``.
    study : Study
        The resolved study.
    """

    out: Path
    tables: Tables
    study: Study

    def __repr__(self) -> str:
        return f"<Run in {self.out}: report.html, and tables {', '.join(self.tables)}>"


def plan_study(
    study: str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | None = None,
    device: str = "auto",
    quick: bool = False,
    imports: bool = True,
    cache: Cache | None = None,
) -> Plan:
    """Check everything in a study that can be checked without computing, and list its steps.

    Parameters
    ----------
    study, overrides, device, quick
        As in :func:`run_study`.
    imports : bool
        False runs no code named by the study: networks by import path are left out of the plan.
    cache : Cache or None
        From :func:`~neurocompare.study.cache.open_cache`: stores test passes through networks. None: no cache.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If any input is wrong.
    """
    settings = load_study(study, overrides)
    return make_plan(quick_study(settings) if quick else settings, device=device, imports=imports, cache=cache)


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
        Worker processes for presenting networks. None: one per core, if there is enough work. Results do not depend on
        it, to the last bit.
    dask : str or None
        Address of a Dask scheduler whose workers are used instead.
    device : str
        ``auto`` (an accelerator if there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    quick : bool
        Reduce the study for a first look: fewer seeds, identities, neurons and draws.
    progress : callable or None
        Called with the name of each step as it starts and the share of the study done. None: a bar in a notebook,
        nothing elsewhere.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If any input is wrong; nothing is written then. Finished steps stay in the cache.
    """
    with progress_or_bar(progress) as tell:
        with whole_folder(out) as folder, _logged(folder):
            cache = open_cache()
            tell("checking", 0.0)
            inputs = Inputs()
            inputs.look_at(load_study(study, overrides))
            plan = plan_study(study, overrides=overrides, device=device, quick=quick, cache=cache)
            inputs.look_at(plan.settings)
            work = _Work(plan, cache, inputs, n_jobs=n_jobs, dask=dask, progress=tell)
            tables = work.write(folder, quick=quick)
            inputs.refuse_changes()
        tell("done", 1.0)
    return Run(Path(out), tables, plan.settings)


@dataclass(frozen=True)
class _Networks:
    """The networks of a study with their weights.

    Parameters
    ----------
    records : list of NetworkRecord
    curves : pandas.DataFrame or None
        Learning curves of the networks that the study trains; None if it trains none.
    kept : dict of int to dict of str to bytes
        Weights after some epochs, by position of the network.
    """

    records: list[NetworkRecord]
    curves: pd.DataFrame | None
    kept: dict[int, dict[str, bytes]]


class _Work:
    """Computes the steps of a plan, or takes them from the cache."""

    def __init__(
        self, plan: Plan, cache: Cache, inputs: Inputs, *, n_jobs: int | None, dask: str | None, progress: Progress
    ):
        self.plan, self.cache, self.inputs, self.settings = plan, cache, inputs, plan.settings
        self.n_jobs, self.dask, self.progress = n_jobs, dask, progress
        self.expected = plan.expected_seconds(cache)
        self.done: set[str] = set()

    def write(self, folder: Path, *, quick: bool) -> Tables:
        """Run all steps and write the run folder."""
        trained = self.networks()
        stimuli = self.stimuli()
        recording = self.plan.recording
        if self.settings.recording.kind == "simulated":
            recording = simulate_recording(self.settings, stimuli)
        things = Things(
            values=values_of(self.settings),
            stimuli=stimuli,
            recording=recording,
            simulated=recording is not None and bool(recording.attrs.get("simulated", False)),
            hypotheses=tuple(self.settings.hypotheses),
            training_curves=trained.curves,
        )
        rdms, shown = self.shown(trained.records, things)
        joined = {kind: concat_rdms([one.by_kind[kind] for one in rdms]) for kind in self.plan.kinds}
        if self.plan.layers:
            presented = [joined["layer_rdms"]] if "layer_rdms" in joined else []
            joined["layer_rdms"] = concat_rdms([*presented, *self.plan.layers])
        patches = self.patches(things)
        things, notes = self.measured(trained, dataclasses.replace(things, layer_rdms=joined, patches=patches), shown)
        # Seeds of one network repeat the same notes.
        of_networks = [note for network in trained.records for note in network.notes]
        notes = list(dict.fromkeys([*self.plan.left_out, *of_networks, *notes]))
        figures: dict[str, bytes] = {}
        for drawing, names, step in self.plan.figures:
            drawn = things.named(names)
            if all(name in drawn for name, must in needs_of(drawing.draw).items() if must):
                figures |= self.made(step, functools.partial(draw_to_files, drawing.name, drawing.draw, drawn))
        self.progress("report", 0.99)
        tables = dict(things.tables)
        written = {"layers": joined.get("layer_rdms"), "patches": None if patches is None else patches.rdms}
        _write_run(folder, tables, written, figures)
        write_provenance(
            folder,
            self.settings,
            stimuli=stimuli,
            stimuli_checksum=stimuli.checksum() if needs_images(self.settings) else stimuli.table_checksum(),
            recording=recording,
            networks=trained.records,
            notes=notes,
            quick=quick,
        )
        write_report(folder)
        return tables

    def patches(self, things: Things) -> Patches | None:
        """RDMs of the patches: computed from the recording or from a file; None without either."""
        if self.plan.patch_rdms is not None:
            return Patches(self.plan.patch_rdms, None)
        if self.plan.patches is None or things.recording is None:
            return None
        make = functools.partial(measure_patches, things.recording, things.stimuli, things.values)
        return self.made(self.plan.patches, make)

    def shown(
        self, networks: Sequence[NetworkRecord], things: Things
    ) -> tuple[list[LayerRdms], dict[tuple[str, int], Measured]]:
        """Results of every network: RDMs of its layers, and measures by key and position of the network."""
        steps = {("", place): step for place, step in enumerate(self.plan.presentations)}
        planned = {one.measure.key: one for one in self.plan.measures if self.is_shown(one)}
        steps |= {(key, place): step for key, one in planned.items() for place, step in one.by_network.items()}
        # Images are sent to a cluster as stored, which takes fewer bytes; each task prepares them.
        sizes = () if self.dask else {network.shown_at for network in networks}
        prepared = functools.cache(lambda: things.stimuli.prepare(*sizes))

        def task(name: tuple[str, int]) -> Task[LayerRdms | Measured]:
            key, place = name
            if not key:
                return network_rdms, (networks[place], prepared(), self.plan.kinds, things.values)
            there = things
            if "stimuli" in planned[key].given:
                there = dataclasses.replace(things, stimuli=prepared())
            return measure_network, (key, networks[place], self.arguments(planned[key], there))

        def shares(name: tuple[str, int], n: int) -> Shares:
            key, place = name
            given = networks[place], prepared(), self.plan.kinds, things.values
            layers = [None] if key else shares_of_layers(*given, n)
            if len(layers) == 1:
                return [task(name)], _only
            return [(network_share, (*given, share)) for share in layers], joined_shares

        found = self.many(steps, task, n_threads=threads_per_task(len(networks)), shares=shares)
        rdms = [one for one in found.values() if isinstance(one, LayerRdms)]
        return rdms, {name: one for name, one in found.items() if isinstance(one, Measured)}

    def measured(
        self, trained: _Networks, things: Things, shown: Mapping[tuple[str, int], Measured]
    ) -> tuple[Things, list[str]]:
        """The inputs extended by the tables of all measures, and notes on them."""
        notes: list[str] = []
        for planned in self.plan.measures:
            if "fit_result" in planned.given and things.fit_result is None and self.plan.fits is not None:
                things = dataclasses.replace(things, fit_result=self.fits(self.plan.fits, things))
            found = self.found_by(planned, trained, things, shown)
            notes += [note for one in found for note in one.notes]
            tables = {**things.tables, **_declared_tables(planned.measure, found)}
            things = dataclasses.replace(things, tables=tables)
        return things, notes

    def fits(self, step: Step, things: Things) -> FitResult:
        """Fits of all layers to all patches."""
        if things.patches is None:
            raise ValueError("layers are fitted to patches; measure these first")
        given = things.layer_rdms["layer_rdms"], things.patches, things.tables["ceilings"], things.values.comparison
        make = functools.partial(fit_layers, *given, things.values.seed, recording=things.recording)
        return self.made(step, make)

    def found_by(
        self, planned: PlannedMeasure, trained: _Networks, things: Things, shown: Mapping[tuple[str, int], Measured]
    ) -> list[Measured]:
        """Results of a measure, for every network in order or for the study."""
        key = planned.measure.key
        if self.is_shown(planned):
            return [shown[key, place] for place in planned.by_network]
        arguments = self.arguments(planned, things)
        if planned.whole is not None:
            return [self.made(planned.whole, functools.partial(planned.measure.compute_from, arguments))]

        # The part of each network depends on earlier results, such as the patches.
        def task(place: int) -> Task[Measured]:
            return measure_network, (key, trained.records[place], arguments, trained.kept.get(place))

        return list(self.many(planned.by_network, task, n_threads=threads_per_task(len(trained.records))).values())

    @staticmethod
    def is_shown(planned: PlannedMeasure) -> bool:
        """Whether a measure needs only a network, stimuli and values, so that it can be computed with the RDMs."""
        alone = {"network", "layers", "stimuli", *Values.names()}
        return planned.measure.per_network and planned.measure.needs.keys() <= alone

    @staticmethod
    def arguments(planned: PlannedMeasure, things: Things) -> dict[str, object]:
        """Inputs of a measure, except those of one network."""
        arguments = things.named(planned.given)
        return arguments if planned.settings is None else {**arguments, "settings": planned.settings}

    def stimuli(self) -> StimulusSet:
        """Stimuli: rendered, from the cache, or read by the plan."""
        if not isinstance(self.plan.stimuli, Step):
            return self.plan.stimuli
        render = functools.partial(render_stimuli, self.settings, n_jobs=self.n_jobs or n_cores())
        return with_background(self.made(self.plan.stimuli, render), self.settings)

    def networks(self) -> _Networks:
        """The networks with their weights, and the results of training."""
        records = list(self.plan.networks)
        planned = self.plan.trainings
        data: dict[str, ImagesToTrainOn] = {}

        def state_folder(place: int) -> Path:
            return self.cache.folder / "training" / planned[place].training.key

        def task(place: int) -> Task[TrainedWeights]:
            network, (settings, dataset, _) = records[place], planned[place]
            if dataset.key not in data:
                size, n_jobs = image_size(network.model), self.n_jobs or n_cores()
                data[dataset.key] = self.made(
                    dataset, functools.partial(read_images_to_train_on, settings, size, n_jobs=n_jobs)
                )
            images = data[dataset.key]
            return train_weights, (network.model, settings, images, network.seed, state_folder(place), network.device)

        results = self.many(
            {place: steps.training for place, steps in planned.items()}, task, n_threads=threads_per_task(len(planned))
        )
        curves, kept = [], {}
        for place, result in results.items():
            network = with_weights(records[place], result["weights"])
            records[place], kept[place] = network, result["kept"]
            names = {"model": network.model.shown_as, "regime": network.regime, "seed": network.seed}
            curves.append(result["curve"].assign(**names))
            with contextlib.suppress(OSError):
                state_folder(place).rmdir()
        return _Networks(records, pd.concat(curves, ignore_index=True) if curves else None, kept)

    def many(
        self,
        steps: Mapping[Place, Step],
        task: Callable[[Place], Task[Result]],
        *,
        n_threads: int,
        shares: Callable[[Place, int], Shares] | None = None,
    ) -> dict[Place, Result]:
        """Results of independent steps, in order; steps that are not cached are sent to workers.

        A cluster with many workers takes steps in ``shares``. Steps that another run is computing are awaited at the
        end, so that two runs never wait for each other.
        """
        results: dict[Place, Result] = {}
        for place, step in steps.items():
            with contextlib.suppress(KeyError):
                results[place] = self.found(step)
        missing = [place for place in steps if place not in results]
        with contextlib.ExitStack() as locks:
            free = [i for i in missing if locks.enter_context(self.cache.lock(steps[i].key, wait=False))]
            n_jobs = self.n_jobs
            if n_jobs is None and sum(self.expected[steps[i].key] for i in free) < WORTH_WORKERS_SECONDS:
                n_jobs = 1
            n_shares = 1 if self.dask is None or shares is None else shares_per_task(len(free), self.dask)
            divided = [shares(i, n_shares) if shares and n_shares > 1 else ([task(i)], _only) for i in free]
            whose = [(step, part) for step, (parts, _) in enumerate(divided) for part in range(len(parts))]
            tasks = [one for parts, _ in divided for one in parts]
            waiting: list[dict[int, Any]] = [{} for _ in divided]
            self.tell(", ".join(steps[i].label for i in free[:1]) + (", ..." if len(free) > 1 else ""))
            start = time.perf_counter()
            for number, result in run_tasks(tasks, n_threads=n_threads, n_jobs=n_jobs, dask=self.dask):
                which, part = whose[number]
                waiting[which][part] = result
                parts, join = divided[which]
                if len(waiting[which]) < len(parts):
                    continue
                whole = join([found for _, found in sorted(waiting[which].items())])
                waiting[which].clear()
                seconds, start = time.perf_counter() - start, time.perf_counter()
                results[free[which]] = self.kept(steps[free[which]], whole, seconds)
        for place in missing:
            if place not in results:
                results[place] = self.made(steps[place], functools.partial(_result_of, task, place), waiting=True)
        return {place: results[place] for place in steps}

    def made(self, step: Step, make: Callable[[], Result], *, waiting: bool = False) -> Result:
        """Result of a step, from the cache if it is there."""
        self.tell(step.label + (" (waiting for another run)" if waiting else ""))
        start = time.perf_counter()

        def made() -> Any:
            value = make()
            self.inputs.refuse_changes()
            return value

        result = self.cache.obtain(step.key, made, kind=step.kind, label=step.label, work=step.work)
        self.finish(step, time.perf_counter() - start)
        return result

    def found(self, step: Step) -> Any:
        """Cached result of a step.

        Raises
        ------
        KeyError
            If it is not in the cache.
        """
        result = self.cache.load(step.key)
        self.finish(step, 0.0)
        return result

    def kept(self, step: Step, result: Result, seconds: float) -> Result:
        """The result of a step from a worker, stored and returned as the cache returns it."""
        self.inputs.refuse_changes()
        result = self.cache.store(step.key, result, kind=step.kind, label=step.label, seconds=seconds, work=step.work)
        self.finish(step, seconds)
        return result

    def finish(self, step: Step, seconds: float) -> None:
        """Record that a step is finished."""
        self.done.add(step.key)
        log.info("%s: %.2f s", step.label, seconds)
        self.tell(step.label)

    def tell(self, name: str) -> None:
        """Report the running step, and the share of the expected time that has passed."""
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


def _only(parts: Sequence[Result]) -> Result:
    (result,) = parts
    return result


def _result_of(task: Callable[[Place], Task[Result]], place: Place) -> Result:
    function, arguments = task(place)
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
