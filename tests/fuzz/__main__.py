"""Damaged input for every reader: ``make fuzz N=400`` or ``python -m tests.fuzz [-n N] [--seed S] [READER ...]``.

Every kind of input is made once as it should be, damaged N times by chance (bits, pieces, numbers, words, lines), and
read. Each time the reader must refuse with one message, or give a value; where the format has a checksum, only the
right one. Readers work in processes of their own with bounded memory, so that one that crashes is seen. A trial is told
by its reader and seed: ``--seed S -n 1`` repeats it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections import Counter

from tests.fuzz.readers import READERS
from tests.fuzz.trial import BAD, GOOD, MOST_SECONDS, Trial, try_reader

MOST_BYTES = 8 * 2**30
"""Address space of a process that reads: torch alone maps some gigabytes."""


def work(place: int, seeds: range, out: multiprocessing.connection.Connection) -> None:
    """Read in a process of its own and send what came of each input."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    for trial in try_reader(READERS[place], iter(seeds)):
        out.send(trial)
    out.send(None)


def trials_of(place: int, seeds: range) -> list[Trial]:
    """Trials of one reader; where its process ends before its time, another goes on after the input that ended it."""
    found: list[Trial] = []
    context = multiprocessing.get_context("fork")
    while len(found) < len(seeds):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(place, seeds[len(found) :], sender))
        process.start()
        sender.close()
        try:
            while receiver.poll(2 * MOST_SECONDS):
                if (trial := receiver.recv()) is None:
                    break
                found.append(trial)
            else:
                # Python's own alarm does not reach a library that does not come back.
                process.kill()
                found.append(Trial(READERS[place].name, seeds[len(found)], "?", "too slow", "it does not come back"))
        except EOFError:
            process.join()
            found.append(Trial(READERS[place].name, seeds[len(found)], "?", "crash", f"exit code {process.exitcode}"))
        process.join()
    return found


def main() -> int:
    """Run all trials and print how they ended, by reader and by kind of damage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=400, help="inputs a reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("readers", nargs="*", help="parts of names; all, where none is given")
    options = parser.parse_args()
    start, counts, damage, bad = time.perf_counter(), Counter(), Counter(), []
    outcomes = (*GOOD, *BAD, "crash")
    print(f"{'reader':<42}" + "".join(f"{name[:11]:>13}" for name in outcomes))
    for place, reader in enumerate(READERS):
        if options.readers and not any(part in reader.name for part in options.readers):
            continue
        trials = trials_of(place, range(options.seed, options.seed + options.n))
        own = Counter(trial.outcome for trial in trials)
        counts += own
        damage.update((trial.mutation, trial.outcome) for trial in trials)
        bad += [trial for trial in trials if trial.outcome not in GOOD]
        print(f"{reader.name:<42}" + "".join(f"{own[name] or '-':>13}" for name in outcomes), flush=True)
    print(f"{'all':<42}" + "".join(f"{counts[name] or '-':>13}" for name in outcomes))
    print("\n" + f"{'damage':<42}" + "".join(f"{name[:11]:>13}" for name in outcomes))
    for mutation in sorted({name for name, _ in damage}):
        print(f"{mutation:<42}" + "".join(f"{damage[mutation, name] or '-':>13}" for name in outcomes))
    for trial in bad[:200]:
        print(f"{trial.outcome}: {trial.reader}, seed {trial.seed}, {trial.mutation}: {trial.said}")
    print(f"{sum(counts.values()):,} inputs in {time.perf_counter() - start:.0f} s, {len(bad)} end otherwise")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
