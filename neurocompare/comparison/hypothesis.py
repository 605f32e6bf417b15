"""A claim about a table of results, declared as data: the entries of ``[[hypotheses]]`` in a study file."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from neural_data.errors import closest
from neurocompare.comparison.multiplicity import CORRECTIONS

__all__ = ["ALLOWED_CORRECTIONS", "DIRECTIONS", "TESTS", "Hypothesis"]

DIRECTIONS = ("greater", "less", "different", "equivalent")
TESTS = {
    "mean": (1, 1),
    "paired": (2, 2),
    "rank-sum": (2, 2),
    "correlation": (2, 2),
    "contrast": (2, 99),
    "ordering": (2, 99),
    "trend": (3, 99),
    "peak": (1, 1),
    "tabulated": (1, 1),
    "interval": (1, 1),
}
"""Tests, with the smallest and largest number of selections of each."""
OF_EQUALITY = ("mean", "paired", "rank-sum", "contrast", "tabulated")
"""Tests that can show an effect to lie within a margin."""
OF_ONE_ROW = ("tabulated", "interval")
_OF_DEPTHS = 'test = "interval", low = "depth_low", high = "depth_high", p = "p_depth", reason = "depth_reason"'
FROM_DRAWS = {"depth_difference": _OF_DEPTHS, "depth_se": _OF_DEPTHS}
"""Columns whose uncertainty is that of draws (not normal, so a standard error decides nothing), and what tests them."""
ALLOWED_CORRECTIONS = tuple(name for name in CORRECTIONS if name != "max")


class Hypothesis(BaseModel):
    """A claim about a table of results.

    Parameters
    ----------
    name : str
        Short name, unique in a study.
    statement : str
        The claim in words.
    table : str
        Table of results: ``viewpoint``, ``fits``, ``equivariance``, ...
    value : str
        Column that holds the measured values.
    test : str
        ``mean``: the selection's mean lies above ``null``. ``paired``: the first selection lies above the second,
        unit by unit (t test). ``rank-sum``: the same for different units. ``contrast``: the sum of the selections times
        ``weights``, unit by unit. ``ordering``: each selection lies above the next. ``trend``: the selections fall as
        listed (Page's test; ties allowed). ``peak``: the selection lies above every other value of the column
        ``over``. ``correlation``: the two selections correlate over units (Pearson). ``tabulated``: one row, whose
        ``value`` is tested with the standard error and degrees of freedom that the table gives in ``se`` and ``df``.
        ``interval``: one row, whose interval and two-sided p value (from draws, for instance) the table gives in
        ``low``, ``high`` and ``p``; undecided if these are empty, with the reason in the table's column ``reason``.
    selections : list of mappings
        Column and the value, or list of values, that it holds: ``{"layer": "fc1", "region": ["AL", "AM"]}``.
    unit : list of str
        Columns that name an independent observation, such as ``identity`` or ``seed``. Rows of one unit are averaged
        before the test. Required except for tests of a tabulated row: the rows of a table are rarely independent.
    where : mapping
        Selection that applies to all selections.
    baseline : mapping or None
        If given, the values of the same units with these columns changed are subtracted from every selection:
        ``{"layer": "conv4"}`` turns an index into its rise above ``conv4``.
    direction : {"greater", "less", "different", "equivalent"}
        The claim about the effect. ``less`` reverses every "above" to "below"; ``equivalent`` claims that the effect
        lies within ``margin`` of ``null``.
    null : float
        Effect under the null hypothesis.
    margin : float or None
        Smallest effect that would matter. Without it a test that does not reject leaves the hypothesis undecided.
    weights : list of float
        Weights of a ``contrast``.
    over : str or None
        Column over which a ``peak`` is tested.
    each : list of str
        Columns of which every combination is tested, each in a separate row: ``["category", "layer"]``.
    alpha : float
        Level of the test after correction; intervals cover 1 - alpha.
    family : str or None
        Hypotheses of one family are corrected together. None: the combinations of ``each`` among themselves, and all
        others of the study together.
    correction : {"bh", "holm", "none"} or None
        None: Benjamini-Hochberg over the combinations of ``each``, else the correction of ``hypotheses.decide``.
    se, df : str
        Columns of a ``tabulated`` estimate's standard error and degrees of freedom (without the latter: normal).
    low, high, p, reason : str
        Columns of an ``interval``'s ends, its p value, and why it is empty.

    Examples
    --------
    >>> Hypothesis(
    ...     name="jump",
    ...     statement="The index rises from the last convolution to the first fully connected layer",
    ...     table="viewpoint",
    ...     value="index",
    ...     test="paired",
    ...     where={"category": ["face", "chair"]},
    ...     selections=[{"layer": "fc1"}, {"layer": "pool2"}],
    ...     unit=["identity"],
    ... ).direction
    'greater'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    statement: str = Field(min_length=1)
    table: str = Field(min_length=1)
    value: str = Field(min_length=1)
    test: str
    selections: list[dict[str, Any]]
    unit: list[str] = []
    where: dict[str, Any] = {}
    baseline: dict[str, Any] | None = None
    direction: str = "greater"
    null: float = 0.0
    margin: float | None = Field(None, gt=0, allow_inf_nan=False)
    weights: list[float] = []
    over: str | None = None
    each: list[str] = []
    alpha: float = Field(0.05, gt=0, lt=0.5)
    family: str | None = None
    correction: str | None = None
    se: str = "se"
    df: str = "df"
    low: str = "ci_low"
    high: str = "ci_high"
    p: str = "p"
    reason: str = "reason"

    @property
    def equivalence(self) -> float:
        """``margin``, required for equivalence.

        Raises
        ------
        ValueError
            If there is none; study files without it are refused when they are read.
        """
        if self.margin is None:
            raise ValueError(f"hypothesis {self.name!r} has no margin")
        return self.margin

    @field_validator("test", "direction", "correction")
    @classmethod
    def _known(cls, name: str | None, about: ValidationInfo) -> str | None:
        known = {"test": TESTS, "direction": DIRECTIONS, "correction": ALLOWED_CORRECTIONS}[str(about.field_name)]
        if name is not None and name not in known:
            raise ValueError(f"there is no {about.field_name} {name!r}: {closest(name, known)}")
        return name

    @model_validator(mode="after")
    def _goes_together(self) -> Hypothesis:
        problem = self._problem()
        if problem:
            raise ValueError(f"hypothesis {self.name!r}: {problem}")
        return self

    def _problem(self) -> str:
        """What is wrong with the declaration; empty if nothing is."""
        fewest, most = TESTS[self.test]
        n = len(self.selections)
        if not fewest <= n <= most:
            wanted = str(fewest) if fewest == most else f"at least {fewest}"
            return f"test {self.test!r} takes {wanted} selection(s), and {n} are given"
        if not self.unit and self.test not in OF_ONE_ROW:
            return (
                f"test {self.test!r} needs unit, the columns that name an independent observation, such as "
                "unit = ['identity']"
            )
        if (self.test == "contrast") != bool(self.weights) or len(self.weights) not in (0, n):
            return f"a contrast needs one weight a selection ({n}), and no other test takes weights"
        if (self.test == "peak") != (self.over is not None):
            return "a peak needs over, the column that it is sought in, and no other test takes it"
        if self.test == "tabulated":
            for column in (self.value, self.se):
                if column in FROM_DRAWS:
                    return (
                        f"column {column!r} comes from draws, which are not normal: a test with its standard deviation "
                        f"finds differences between layers chosen by noise; use {FROM_DRAWS[column]}"
                    )
        if self.direction == "equivalent" and (self.margin is None or self.test not in OF_EQUALITY):
            return f"direction 'equivalent' needs a margin and one of the tests {', '.join(OF_EQUALITY)}"
        if self.null and self.test in ("correlation", "ordering", "trend", "peak", "interval"):
            return f"test {self.test!r} is against 0; leave null out"
        return ""
