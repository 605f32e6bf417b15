"""Run all benchmarks and write their table: ``python -m tests.benchmarks [--quick] [--out FOLDER]``."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import version
from pathlib import Path

# One thread, before NumPy is loaded: processor time is then the time that one core needs.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from tests.benchmarks import fits  # noqa: E402

HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the program")
    parser.add_argument("--out", type=Path, default=HERE, help="folder for fits.csv")
    arguments = parser.parse_args()
    rows = []
    for found in fits.measure(arguments.quick):
        rows.append(found)
        print(
            "  ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{value}" for key, value in found.items())
        )
    table = pd.DataFrame(rows)
    table["machine"] = f"{os.cpu_count()} cores, numpy {np.__version__}, rsatoolbox {version('rsatoolbox')}"
    table["python"] = platform.python_version()
    arguments.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.out / "fits.csv", index=False, float_format="%.4g")
    print(f"wrote {arguments.out / 'fits.csv'}")


if __name__ == "__main__":
    main()
