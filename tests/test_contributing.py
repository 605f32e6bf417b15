"""What CONTRIBUTING.md says of the families is true: they are there, hold records, and no name stands elsewhere."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
ROW = re.compile(r"\| (?P<what>[^|]+) \| (?P<write>[^|]+) \| `(?P<family>[A-Z_]+)` in `(?P<path>[\w/]+\.py)` \|")
ROWS = [row.groupdict() for row in ROW.finditer((REPOSITORY / "CONTRIBUTING.md").read_text())]
PACKAGES = [*(REPOSITORY / "neurocompare").rglob("*.py"), *(REPOSITORY / "neural_data").rglob("*.py")]


def members(row: dict) -> list[str]:
    module = importlib.import_module(row["path"].removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    family = getattr(module, row["family"])
    if isinstance(family, dict):
        return list(family)
    return [getattr(record, "name", None) or record.category for record in family]


def test_every_family_has_a_row():
    families = ("MEASURES", "METHODS", "FACTORS", "DISSIMILARITIES", "FORMATS", "REGIMES", "STARTS", "OWN_NETWORKS")
    assert {row["family"] for row in ROWS} >= {*families, "CATEGORIES", "TESTS"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["family"])
def test_a_family_is_where_the_table_says(row):
    assert len(members(row)) >= 2
    assert len(set(members(row))) == len(members(row))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["family"])
def test_members_are_listed_once(row):
    """No other module lists three members of a family beside each other."""
    names = [re.escape(name) for name in members(row)]
    listed = re.compile(rf"""(?:["'](?:{"|".join(names)})["'],\s*){{3}}""")
    home = REPOSITORY / row["path"]
    found = [path for path in PACKAGES if path != home and listed.search(path.read_text())]
    assert not found, f"{row['family']} is listed again in {found}"
