"""Settings of Sphinx, and what it takes from elsewhere: API pages from the modules, study pages from ``analyses``."""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import GenericAlias

from sphinx.pycode import ModuleAnalyzer

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

from neurocompare import __version__  # noqa: E402

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

autodoc_default_options = {"members": True, "undoc-members": False}
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
    """A module and its public names. Aliases of types are data: autodoc would ask them for a signature."""
    module, written = import_module(name), ModuleAnalyzer.for_module(name).find_attr_docs()
    aliases = [one for one in module.__all__ if isinstance(getattr(module, one), GenericAlias)]
    lines = [f".. automodule:: {name}", "   :members:"]
    lines += [f"   :exclude-members: {', '.join(['model_config', *aliases])}"]
    for alias in aliases:
        lines += ["", f".. py:data:: {name}.{alias}", "", *(f"   {line}" for line in written.get(("", alias), []))]
    return [*lines, ""]


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


def setup(app) -> None:
    """Pages are written before Sphinx looks for them."""
    write_api_pages()
    write_study_pages()
    app.connect("source-read", _rewrite_source)
