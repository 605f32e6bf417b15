"""Example studies that come with the package: copied to a folder of the user's, to be run and edited."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from neural_data.errors import InputError
from neural_data.formats.bounds import whole_file

__all__ = ["example_files", "write_examples"]

WITH_EVERY_KEY_EXPLAINED = "faces_by_view.toml"


def example_files() -> dict[str, str]:
    """Text of every example study by the name of its file, sorted by name.

    An installed package holds them, a clone of the repository has them beside the package.
    """
    package = Path(str(files("neurocompare")))
    folder = package / "analyses" if (package / "analyses").is_dir() else package.parent / "analyses"
    paths = [*(folder / "examples").glob("*.toml"), folder / WITH_EVERY_KEY_EXPLAINED]
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(paths, key=lambda path: path.name)}


def write_examples(out: str | Path) -> list[Path]:
    """Write every example study to a folder.

    Parameters
    ----------
    out : str or pathlib.Path
        Is made if it is absent. Other files in it are left alone.

    Returns
    -------
    list of pathlib.Path
        The files written.

    Raises
    ------
    InputError
        If a file of that name is there already, so that no edited study is lost, or if the folder cannot be
        written; nothing is written then.
    """
    out, examples = Path(out), example_files()
    there = [name for name in examples if os.path.lexists(out / name)]
    if there:
        raise InputError(f"{out}: holds {', '.join(there[:3])} already; name another folder, or remove them")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in examples.items():
            with whole_file(out / name) as partial:
                partial.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error}); name another folder") from error
    return [out / name for name in examples]
