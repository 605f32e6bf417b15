"""The report in a browser: it opens without errors, and its tables sort, filter and download."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from neurocompare import run_study
from neurocompare.measures.page import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
SELF_TEST = """
<script>
const found = { errors: window.problems };
const block = document.querySelector('[data-table="fits-table"]');
const shown = () => [...block.querySelectorAll("tbody tr")].filter(row => !row.hidden);
const column = [...block.querySelectorAll("thead th")].findIndex(header => header.dataset.column === "fit");
const header = block.querySelectorAll("thead th")[column];
const fits = () => shown().map(row => Number(row.cells[column].dataset.value));
found.all = shown().length;
header.querySelector("button").click();
found.ascending = fits();
found.sort = header.getAttribute("aria-sort");
header.querySelector("button").click();
found.descending = fits();
const search = block.querySelector("input");
search.value = "fc1 al";
search.dispatchEvent(new Event("input"));
found.filtered = shown().map(row => row.textContent.replace(/\\s+/g, " "));
found.status = block.querySelector("[role=status]").textContent;
found.csv = block.csv();
found.unlabelled = [...document.querySelectorAll("img:not([alt]), th:not([scope]), input")].filter(
  element => element.tagName !== "INPUT" || !element.closest("label")).length;
found.landmarks = ["header", "nav", "main", "section"].filter(name => !document.querySelector(name));
found.uncaptioned = [...document.querySelectorAll("table")].filter(table => !table.caption?.textContent.trim()).length;
found.anchors = [...document.querySelectorAll("nav a")].filter(link => !document.querySelector(link.hash)).length;
found.nameless = [...document.querySelectorAll("section, [role=region], [role=group]")].filter(element => {
  const named = element.getAttribute("aria-labelledby");
  return !(element.getAttribute("aria-label") || (named && document.getElementById(named)?.textContent));
}).length;
const ids = [...document.querySelectorAll("[id]")].map(element => element.id);
found.repeated = ids.filter((id, place) => ids.indexOf(id) !== place);
const index = document.querySelector("[data-plot=explore-index]");
index.querySelector("svg").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", cancelable: true }));
found.index = [index.querySelectorAll("circle").length, index.querySelector(".said").textContent];
const plot = document.querySelector("[data-plot=explore-fits]"), press = key => {
  plot.querySelector("svg").dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
  return plot.querySelector(".said").textContent;
};
const patch = plot.querySelector("[data-choice=panel]");
patch.value = "AL";
patch.dispatchEvent(new Event("change"));
found.points = plot.querySelectorAll("circle").length;
found.said = [press("ArrowRight"), press("ArrowRight"), press("ArrowRight")];
found.visible = !plot.hidden;
const fold = document.querySelector("details.fold");
fold.open = false;
found.folded = fold.querySelector("figure, table").checkVisibility();
fold.open = true;
const narrow = [...document.querySelectorAll(".scroll")].find(box => box.scrollWidth > box.clientWidth);
narrow.scrollLeft = 200;
found.first = narrow.querySelector("tbody td").getBoundingClientRect().left - narrow.getBoundingClientRect().left;
header.querySelector("button").focus();
found.focused = document.activeElement.tagName;
found.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const result = document.createElement("pre");
result.id = "found";
result.textContent = JSON.stringify(found);
document.body.append(result);
</script></body>"""


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on the path; the report's scripts are not tried")
    return CHROMIUM


@pytest.mark.slow
def test_tables_sort_filter_and_download_in_a_browser(small_study, tmp_path, browser):
    run = run_study(small_study, out=tmp_path / "run")
    text = (run.out / "report.html").read_text()
    listen = '<script>window.problems = []; addEventListener("error", e => problems.push(e.message));</script>'
    page = tmp_path / "page.html"
    page.write_text(text.replace("<style>", listen + "<style>", 1).replace("</body>", SELF_TEST))
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [browser, *FLAGS, profile, "--window-size=400,800", "--dump-dom", page.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    content = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)[1]
    found = json.loads(content.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert found["errors"] == []
    assert found["all"] == 6
    assert found["ascending"] == sorted(run.tables["fits"]["fit"])
    assert found["descending"] == found["ascending"][::-1]
    assert found["sort"] == "ascending"
    assert len(found["filtered"]) == 1
    assert "fc1" in found["filtered"][0]
    assert found["status"] == "1 of 6 rows"
    header, row = found["csv"].strip().split("\n")
    fits = run.tables["fits"]
    expected = fits[(fits["layer"] == "fc1") & (fits["region"] == "AL")]["fit"].item()
    assert float(dict(zip(header.split(","), row.split(","), strict=True))["fit"]) == expected
    shown = fits[fits["region"] == "AL"].sort_values("layer_index")
    said = [
        f"cnn-small, untrained: {row.layer}, {row.fit:.3f} (95 % interval {row.ci_low:.3f} to {row.ci_high:.3f})"
        for row in shown.itertuples()
    ]
    assert found["points"] == len(said) == 2
    assert found["said"] == [*said, said[0]]
    assert found["visible"]
    first = run.tables["viewpoint_summary"].sort_values("layer_index").iloc[0]
    assert found["index"] == [
        len(run.tables["viewpoint_summary"]),
        f"cnn-small, untrained: {first['layer']}, {first['index']:.3f} (95 % interval {first['ci_low']:.3f} to "
        f"{first['ci_high']:.3f})",
    ]
    assert not found["folded"]
    assert found["first"] == pytest.approx(0, abs=1), "the first column goes away when a table is scrolled"
    assert found["unlabelled"] == found["uncaptioned"] == found["anchors"] == found["nameless"] == 0
    assert found["landmarks"] == found["repeated"] == []
    assert found["focused"] == "BUTTON"
    assert found["overflow"] <= 0, "the page is wider than a phone"


def test_the_page_asks_for_nothing_from_outside(small_study, tmp_path):
    page = (run_study(small_study, out=tmp_path / "run").out / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "@import" not in page
    assert "url(" not in page


def test_text_of_a_study_is_not_read_as_markup(small_study, tmp_path):
    run = run_study(small_study, out=tmp_path / "run", overrides={"title": '"<script>alert(1)</script>"'})
    page = (run.out / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_report_is_made_of_what_is_there(small_study, tmp_path):
    run = run_study(small_study, out=tmp_path / "run")
    page = write_report(run.out).read_text()
    assert 'id="hypotheses"' not in page
    assert 'id="equivariance"' not in page
