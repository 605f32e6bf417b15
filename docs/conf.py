"""Settings of Sphinx, and what it takes from elsewhere: API pages from the modules, study pages from ``analyses``."""

from __future__ import annotations

import inspect
import re
import shutil
import sys
import tomllib
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path, PurePath
from types import GenericAlias
from typing import Annotated, TypeVar, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

from neural_data.parametric import PARAMETER_SOURCES, PatchTuning  # noqa: E402
from neural_data.simulation import SpikeNoise  # noqa: E402
from neural_data.stages import STAGE_SOURCES, StageTuning  # noqa: E402
from neurocompare import __version__  # noqa: E402
from neurocompare.measures.declaration import Measure  # noqa: E402

project = "neurocompare"
author = "neurocompare maintainers"
copyright = author
version = release = __version__
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
IN_REPOSITORY = f"{URLS['Homepage']}/blob/main"

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
root_doc = "index"
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["build", "gallery/*"]
templates_path = []
nitpicky = False

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "dollarmath"]

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
add_module_names = False
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": ["gallery"],
    "gallery_dirs": ["examples"],
    "filename_pattern": r"/plot_",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "ignore_repr_types": r"matplotlib\.|numpy\.ndarray",
    "matplotlib_animations": False,
    "nested_sections": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "neurocompare"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "github_url": URLS["Homepage"],
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_prev_next": False,
    "show_toc_level": 1,
    "navigation_depth": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_context = {"default_mode": "light"}
html_sidebars = {"index": []}

ROOMS = {
    "neural_data": "Stimulus sets, recordings and simulated patches",
    "neurocompare.stimuli": "Makes stimulus sets",
    "neurocompare.models": "Networks, their weights and layers, training",
    "neurocompare.representations": "From networks and recordings to RDMs, and measures of single representations",
    "neurocompare.comparison": "RDM against RDM: fits, ceilings, inference, hypotheses, power",
    "neurocompare.reporting": "Figures, tables and the report",
    "neurocompare.measures": "The measures of a study",
    "neurocompare.study": "From a study file to a run",
}
WIDTH = 120
"""Letters of a constant that are printed."""
LINK = re.compile(r"(!?\[[^\]]*\])\(((?!https?://|#|mailto:)[^)#\s]+)(#[^)\s]*)?\)")


def public_modules() -> dict[str, list[str]]:
    """Names of the modules with public names, by room; private modules and the command line are left out."""
    found: dict[str, list[str]] = {room: [] for room in ROOMS}
    for package in ("neural_data", "neurocompare"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            room = next((room for room in ROOMS if name == room or name.startswith(room + ".")), None)
            if room is not None and any(re.match(r"__all__ = \[\s*\S", line) for line in _all_of(path)):
                found[room].append(name)
    return found


def _all_of(path: Path) -> list[str]:
    return re.findall(r"^__all__ = \[[^\]]*\]", path.read_text(encoding="utf-8"), flags=re.MULTILINE)


def write_api_pages() -> None:
    """``api/``: one page per module, with every name in its ``__all__``, and one list per room."""
    folder = DOCS / "api"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    front = ["neurocompare", "neural_data", "neurocompare.stimuli"]
    lines = [
        "API reference",
        "=============",
        "",
        "Every public name, by room; first those that most users need:",
        "",
    ]
    for package in front:
        names = {name: home for name, home in import_module(package)._HOMES.items() if name[0] != "_"}
        lines += [f"- ``from {package} import`` " + ", ".join(f":py:obj:`{n} <{h}.{n}>`" for n, h in names.items())]
    lines += [""]
    for room, about in ROOMS.items():
        modules = [name for name in public_modules()[room] if name not in front]
        (folder / f"{room}.rst").write_text(_room_page(about, modules), encoding="utf-8")
        for name in modules:
            title = f"{name}"
            page = [title, "=" * len(title), "", *_module_directives(name)]
            (folder / f"{name}_module.rst").write_text("\n".join(page), encoding="utf-8")
    lines += [".. toctree::", "   :maxdepth: 1", "", *(f"   {about} <{room}>" for room, about in ROOMS.items()), ""]
    (folder / "index.rst").write_text("\n".join(lines), encoding="utf-8")


def _module_directives(name: str) -> list[str]:
    """A module and its public names; constants and aliases of types come last.

    Of a long constant, its kinds stand with what they say of themselves, or its names: autodoc would print all of it,
    and folders of this machine.
    """
    module, analyzer = import_module(name), ModuleAnalyzer.for_module(name)
    written = analyzer.find_attr_docs()
    constants = [one for one in module.__all__ if one in analyzer.tagorder and _is_constant(getattr(module, one))]
    lines = [f".. automodule:: {name}", "   :members:"]
    lines += [f"   :exclude-members: {', '.join(['model_config', *constants])}"]
    for one in sorted(constants, key=analyzer.tagorder.__getitem__):
        value = getattr(module, one)
        words, short = kinds_in_words(value), value_in_short(value)
        lines += ["", f".. py:data:: {one}", f"   :module: {name}"]
        lines += [f"   :value: {short}"] if short and not words else []
        lines += ["", *(f"   {line}" for line in written.get(("", one), [_words_of(value) if not short else ""]))]
        lines += ["", *(f"   - ``{kind}``: {text}" for kind, text in words.items())]
    lines += [line for one in module.__all__ for line in _measure_lines(getattr(module, one))]
    return [*lines, ""]


def _is_constant(value: object) -> bool:
    """Whether it is data without a documentation of its own; a measure has a section."""
    return not (inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, (Measure, TypeVar))) and (
        isinstance(value, GenericAlias) or value.__doc__ == type(value).__doc__
    )


def kinds_in_words(value: object) -> dict[str, str]:
    """What a long constant says of each of its kinds: a text, or the label of a record; empty if any says nothing."""
    if not isinstance(value, (dict, tuple, list)) or len(repr(value)) <= WIDTH:
        return {}
    named = list(value.items()) if isinstance(value, dict) else [(_name_of(one), one) for one in value]
    texts = {str(name): _words_of(one) for name, one in named}
    return texts if all(texts.values()) else {}


def _words_of(value: object) -> str:
    if isinstance(value, str):
        return "" if value.isidentifier() else value
    found = [getattr(value, name, "") for name in ("about", "label", "title", "meaning", "plural")]
    return next((text for text in found if text and isinstance(text, str)), "")


def _measure_lines(measure: object) -> list[str]:
    """What a measure of studies takes and gives, from its record."""
    if not isinstance(measure, Measure):
        return []
    lines = ["", ".. rubric:: In a study", "", f"{measure.about[:1].upper()}{measure.about[1:]}.", ""]
    if measure.optional:
        lines += [f"- Computed if a study has ``[outputs]`` ``{measure.key}``."]
    else:
        lines += ["- Computed whenever a study has what it takes."]
    if measure.settings is not None:
        lines += [f"- Settings: :class:`~{measure.settings.__module__}.{measure.settings.__qualname__}`."]
    if measure.compute is not None:
        wanted = [f"``{one}``" for one in inspect.signature(measure.compute).parameters if one != "settings"]
        lines += [f"- Takes {', '.join(wanted)}; see :class:`~neurocompare.measures.declaration.Things`."]
    for table in measure.all_tables:
        columns = ", ".join(f"``{column}``" for column in table.names)
        lines += [f"- Gives ``tables/{table.name}.csv``. {table.about} Columns: {columns}."]
    for figure in measure.figures:
        lines += [f"- Draws ``figures/{figure.name}``. {' '.join(figure.caption.split())}"]
    return lines


def value_in_short(value: object) -> str:
    """A constant on one line: its ``repr`` if that is short, else its names, ``{'corr': …}``, if it has any."""
    if isinstance(value, PurePath) or get_origin(value) is Annotated:
        return ""
    most = WIDTH if isinstance(value, (dict, tuple, list)) else 2 * WIDTH
    if len(repr(value)) <= most and " at 0x" not in repr(value) and "<class" not in repr(value):
        return repr(value)
    if isinstance(value, dict):
        parts, ends = [f"{key!r}: …" for key in value], "{}"
    elif isinstance(value, (tuple, list)):
        parts, ends = [_name_of(one) for one in value], "()"
    else:
        return ""
    shown = [part for k, part in enumerate(parts) if len(", ".join(parts[: k + 1])) <= WIDTH]
    rest = [] if len(shown) == len(parts) else [f"… {len(parts)} in all"]
    return ends[0] + ", ".join([*shown, *rest]) + ends[1]


def _name_of(value: object) -> str:
    for attribute in ("name", "category", "__name__"):
        if isinstance(getattr(value, attribute, None), str):
            return getattr(value, attribute)
    return f"{value:.3g}" if isinstance(value, float) else repr(value)


def _room_page(about: str, modules: list[str]) -> str:
    lines = [about, "=" * len(about), "", ".. list-table::", "   :widths: 30 70", ""]
    for name in modules:
        doc = (import_module(name).__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
        lines += [f"   * - :doc:`{name} <{name}_module>`", f"     - {doc}"]
    return "\n".join([*lines, "", ".. toctree::", "   :hidden:", "", *(f"   {name}_module" for name in modules), ""])


def write_study_pages() -> None:
    """``studies/``: pages and figures of ``analyses`` as they are, and a gallery of every study with its figures."""
    folder, source = DOCS / "studies", ROOT / "analyses"
    shutil.rmtree(folder, ignore_errors=True)
    for path in [*source.rglob("*.md"), *source.rglob("*.png")]:
        if "GUIDE" not in path.name:
            copy = folder / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".png":
                shutil.copyfile(path, copy)
            else:
                copy.write_text(rewritten(path.read_text(encoding="utf-8"), path.parent, copy.parent), encoding="utf-8")
    pages = sorted(p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.md"))
    (folder / "gallery.md").write_text(_study_gallery(source, pages), encoding="utf-8")


def _study_gallery(source: Path, pages: list[str]) -> str:
    lines = [
        "# Studies and their figures",
        "",
        "Every study is one file; [what came out](README.md), beside what the paper reports.",
        "",
    ]
    for study in sorted(source.glob("*.toml")):
        text = study.read_text(encoding="utf-8")
        # A sentence that leads to a command ends without its point.
        comment = re.sub(r"[^.?!]*$", "", " ".join(line.lstrip("# ") for line in _first_comment(text)))
        lines += [
            f"## {tomllib.loads(text)['title']}",
            "",
            comment,
            "",
            f"[{study.name}]({IN_REPOSITORY}/analyses/{study.name})",
            "",
        ]
        figures = sorted((source / study.stem).glob("*.png"))
        lines += [f"![{figure.stem.replace('_', ' ')}]({study.stem}/{figure.name})\n" for figure in figures]
    return "\n".join([*lines, "```{toctree}", ":hidden:", "", *pages, "```", ""])


def _first_comment(text: str) -> list[str]:
    """Lines of a comment at the top, up to the first command in it."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#") or line.startswith("#   "):
            break
        lines.append(line)
    return lines


def rewritten(text: str, there: Path, here: Path) -> str:
    """Markdown of a page in ``there`` for a copy in ``here``: links to pages of the site stay, others leave it."""

    def link(found: re.Match) -> str:
        label, target, anchor = found[1], found[2], found[3] or ""
        path = (there / target).resolve()
        if path.is_relative_to(ROOT / "analyses") and path.suffix in (".md", ".png") and path.name != "GUIDE.md":
            path = DOCS / "studies" / path.relative_to(ROOT / "analyses")
        elif not path.is_relative_to(DOCS):
            return f"{label}({IN_REPOSITORY}/{path.relative_to(ROOT).as_posix()}{anchor})"
        elif path.parent == DOCS / "gallery":
            path = DOCS / "examples" / path.with_suffix(".rst").name
        return f"{label}({_relative(path, here)}{anchor})"

    return LINK.sub(link, text)


def _relative(path: Path, here: Path) -> str:
    return Path("/".join([".."] * len(here.relative_to(DOCS).parts) + [path.relative_to(DOCS).as_posix()])).as_posix()


def _rewrite_source(_app: object, name: str, source: list[str]) -> None:
    path = DOCS / f"{name}.md"
    if path.is_file() and not name.startswith("studies/"):
        source[0] = rewritten(source[0], path.parent, path.parent)


def _describe_fields(_app: object, what: str, _name: str, thing: object, _options: object, lines: list[str]) -> None:
    """Fields of sections of study files, and of simulated tunings, have their texts in declarations."""
    if what == "class" and "Parameters" not in lines and (texts := texts_of_fields(thing)):
        lines += ["", "Parameters", "----------"]
        for name, text in texts.items():
            begun = f"{text[:1].upper()}{text[1:]}" if text.split()[0].isalpha() else text
            lines += [name, f"    {begun}"]


def _skip_fields_by_number(_app: object, _what: str, _name: str, thing: object, skip: bool, _options: object) -> bool:
    """Fields of a named tuple are described with its parameters, not by their places."""
    return skip or str(getattr(thing, "__doc__", "")).startswith("Alias for field number")


def _shorten_defaults(
    _app: object, what: str, _name: str, thing: object, _options: object, _signature: str, _returned: str
) -> tuple[str, None] | None:
    """Long defaults of a class's fields, such as all settings of a section, are left out of its signature."""
    if what != "class" or not (isinstance(thing, type) and (is_dataclass(thing) or issubclass(thing, BaseModel))):
        return None
    found = inspect.signature(thing)
    plain = [one.replace(annotation=one.empty) for one in found.parameters.values()]
    shorter = [one if len(repr(one.default)) <= WIDTH // 2 else one.replace(default=...) for one in plain]
    if shorter == plain:
        return None
    return str(found.replace(parameters=shorter, return_annotation=found.empty)).replace("Ellipsis", "…"), None


def texts_of_fields(thing: type) -> dict[str, str]:
    """Text of every field of a pydantic model, or of a class whose texts are a table of its module; else empty."""
    if issubclass(thing, BaseModel):
        return {name: one.description or _section_of(one) for name, one in thing.model_fields.items()}
    sources = {PatchTuning: PARAMETER_SOURCES, SpikeNoise: PARAMETER_SOURCES, StageTuning: STAGE_SOURCES}.get(thing, {})
    return {one.name: sources[one.name] for one in fields(thing)} if sources else {}


def _section_of(field: FieldInfo) -> str:
    """A field without a text of its own is a section, and its class has the texts."""
    kinds = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type)]
    section = next(one for one in kinds if issubclass(one, BaseModel))
    return f"A section, see :class:`~{section.__module__}.{section.__qualname__}`."


def _warn_of_machine_paths(_app: object, name: str, _template: str, context: dict, _doctree: object) -> None:
    """No page names a folder of the machine that builds the site."""
    text = re.sub(r"<[^>]+>", "", context.get("body", ""))
    found = re.search(rf"(?:{'|'.join(re.escape(str(one)) for one in (ROOT, Path.home()))})(?:/[\w.]+)+", text)
    if found:
        logging.getLogger(__name__).warning("%s names a folder of this machine: %s", name, found[0])


def setup(app) -> None:
    """Pages are written before Sphinx looks for them."""
    write_api_pages()
    write_study_pages()
    app.connect("source-read", _rewrite_source)
    app.connect("html-page-context", _warn_of_machine_paths)
    app.connect("autodoc-skip-member", _skip_fields_by_number)
    app.connect("autodoc-process-signature", _shorten_defaults)
    app.connect("autodoc-process-docstring", _describe_fields, priority=400)  # before numpydoc reads the sections
