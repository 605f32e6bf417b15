"""Every measure is declared whole: what it needs exists, its tables have columns, what it draws and shows is there."""

from __future__ import annotations

import pandas as pd
import pytest
import xarray as xr
from pydantic import ValidationError

from neurocompare.measures import MEASURES
from neurocompare.measures.columns import COLUMNS, columns
from neurocompare.measures.declaration import LAYER_RDMS, NETWORK_THINGS, Measure, Measured, Things, Values, needs_of
from neurocompare.reporting.tables import Column, Table
from neurocompare.study.grammar import Study, load_study, study_schema
from neurocompare.study.planning import TYPICAL_SECONDS, values_of

TABLES = [table for measure in MEASURES.values() for table in measure.all_tables]
NAMES = [table.name for table in TABLES]
FIGURES = [figure for measure in MEASURES.values() for figure in measure.figures]
STUDY = Study(models=[{"name": "cnn-small"}])


def test_tables_and_figures_have_names_of_their_own():
    assert len(set(NAMES)) == len(NAMES)
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)
    assert all(key == measure.key for key, measure in MEASURES.items())


@pytest.mark.parametrize("key", MEASURES)
def test_a_measure_needs_what_there_is_and_tables_of_measures_before_it(key):
    before = list(MEASURES)[: list(MEASURES).index(key)]
    earlier = {table.name for name in before for table in MEASURES[name].all_tables}
    assert MEASURES[key].needs.keys() <= {*Things.names(), *Values.names(), *LAYER_RDMS, *NETWORK_THINGS} | earlier


@pytest.mark.parametrize("key", MEASURES)
def test_what_a_measure_draws_and_shows_is_declared(key):
    measure = MEASURES[key]
    for figure in measure.figures:
        inputs = needs_of(figure.draw).items()
        assert {name for name, must in inputs if must} <= {*NAMES, "layer_rdms", "patches"}
        assert figure.caption.endswith(".")
    for summary in measure.summaries:
        assert summary.source in {table.name for table in measure.tables}
    own = {table.name: table for table in measure.all_tables}
    for shown in measure.shown:
        if shown.rows is None:
            assert shown.name in own
        if shown.columns is not None and shown.rows is None:
            assert {column.name for column in columns(*shown.columns)} <= set(own[shown.name].names)


@pytest.mark.parametrize("table", TABLES, ids=NAMES)
def test_every_column_says_what_it_holds(table):
    assert table.about.endswith(".")
    assert all(len(column.meaning) > 5 for column in table.columns)


def test_a_meaning_is_declared_once_and_used():
    used = {column.name for table in TABLES for column in table.columns if COLUMNS.get(column.name) is column}
    assert set(COLUMNS) - used <= {"power"}


def test_a_column_without_a_meaning_and_one_declared_twice_are_refused():
    with pytest.raises(KeyError, match="no_such_column"):
        columns("model", "no_such_column")
    with pytest.raises(ValueError, match="declares a column twice"):
        Table("twice", "One row.", columns("model", "model"))


def test_things_are_given_by_name_and_only_those_that_are_there():
    table = pd.DataFrame({"index": [1.0]})
    things = Things(values_of(STUDY), None, xr.DataArray([0.0]), simulated=False, hypotheses=(), tables={"one": table})
    assert things.named(["seed", "background", "simulated", "patches", "one", "two", "normalize"]) == {
        "seed": 0,
        "background": None,
        "simulated": False,
        "one": table,
        "normalize": None,
    }
    assert things.named(["tables"])["tables"]["one"] is table
    names = [*Things.names(), *Values.names(), *LAYER_RDMS, *NETWORK_THINGS]
    assert len(set(names)) == len(names)


def test_a_measure_that_only_draws_is_not_computed():
    with pytest.raises(ValueError, match="'regimes' computes nothing"):
        MEASURES["regimes"].compute_from({})


def test_every_measure_has_a_likely_duration_and_a_key_in_the_grammar():
    assert MEASURES.keys() <= TYPICAL_SECONDS.keys()
    properties = study_schema()["$defs"]["Outputs"]["properties"]
    assert list(properties) == [key for key, measure in MEASURES.items() if measure.optional]
    assert all(about["description"] for about in properties.values())


def test_settings_are_declared_where_and_only_where_compute_takes_them():
    def compute(*, settings, seed):
        return Measured({})

    with pytest.raises(ValueError, match="compute takes settings where, and only where, they are declared"):
        Measure("new", "New", "something new", compute, ())
    with pytest.raises(ValueError, match="compute takes settings where, and only where, they are declared"):
        Measure("new", "New", "something new", Measured, (), settings=type(STUDY.comparison))


def test_a_result_with_an_undeclared_column_is_refused():
    from neurocompare.reporting.tables import ordered

    with pytest.raises(ValueError, match=r"columns \['extra'\] that its declaration lacks"):
        ordered(pd.DataFrame({"model": ["a"], "extra": [1]}), Table("one", "One row.", (Column("model", "a name"),)))


@pytest.mark.parametrize("key", ["method", "dissimilarity", "resample", "variance"])
def test_an_unknown_member_of_a_family_is_refused_with_the_nearest_name(key):
    known = getattr(STUDY.comparison, key) or "identity"
    with pytest.raises(ValueError, match=f"{known[:-1]}.*did you mean"):
        load_study({"models": [{"name": "cnn-small"}], "comparison": {key: known[:-1]}})


def test_sections_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        STUDY.comparison.method = "cosine"
