"""Factors of a study that measures of single neurons can resample."""

from __future__ import annotations

from neurocompare.comparison.resampling import check_factors, factors_along
from neurocompare.measures.comparison import Comparison

__all__ = ["NO_SUBJECTS", "without_subjects"]

NO_SUBJECTS = "Read-outs and links are not resampled over subjects: their intervals hold for the recorded animals."


def without_subjects(comparison: Comparison) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Factors without subjects, None for the default, and a note if there were any."""
    if comparison.resample is None:
        return None, ()
    named = comparison.resample if isinstance(comparison.resample, str) else list(comparison.resample)
    factors = check_factors(named)
    subjects = factors_along("subjects", factors)
    kept = tuple(factor for factor in factors if factor not in subjects)
    return kept or None, (NO_SUBJECTS,) if subjects else ()
