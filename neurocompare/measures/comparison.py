"""``[comparison]`` of a study file: how RDMs are computed, compared and tested; shared by all measures of fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypedDict

from pydantic import Field, field_validator

from neurocompare.comparison.controls import CONTROLS
from neurocompare.comparison.inference import VARIANCES
from neurocompare.comparison.methods import METHODS
from neurocompare.comparison.resampling import FACTORS
from neurocompare.measures.settings import MemberOf, Quick, Section
from neurocompare.representations.dissimilarities import MODEL_DISSIMILARITIES

__all__ = ["INFERENCE", "Comparison", "InferenceOptions", "equality_methods", "without_repeats"]

FactorName = Annotated[str, MemberOf(FACTORS)]


def without_repeats(names: Any) -> Any:
    """The value; a list with a repeated name raises."""
    for name, count in Counter(names).items() if isinstance(names, list) else ():
        if count > 1:
            raise ValueError(f"{name!r} is listed {count} times; list it once")
    return names


def equality_methods(study: Mapping[str, Any]) -> list[str]:
    """Methods sentence on tests of equality; none where the study names no smallest difference that matters."""
    margin = study["comparison"]["equal_within"]
    if margin is None:
        return []
    return [
        f"Differences are called equal to 0 within {margin:g} by two one-sided t tests (Schuirmann 1987, J "
        "Pharmacokinet Biopharm 15:657), corrected as the tests of these differences against 0 are."
    ]


class InferenceOptions(TypedDict):
    """Arguments of ``infer_fits``."""

    method: str
    resample: str | list[str] | None
    variance: str
    n_draws: int
    n_permutations: int
    control: tuple[str, ...]


INFERENCE = tuple(InferenceOptions.__annotations__)
"""Keys of ``[comparison]`` that are arguments of ``infer_fits``."""


class Comparison(Section):
    """``[comparison]``: how RDMs are computed, compared and tested."""

    method: Annotated[str, MemberOf(METHODS)] = Field("corr", description="how two RDMs are compared")
    dissimilarity: Annotated[str, MemberOf(MODEL_DISSIMILARITIES)] = Field(
        "correlation", description="of two stimuli, for the RDMs that are compared"
    )
    normalize: Literal["none", "zscore"] = Field(
        "none", description="raw responses, as eLife 90256 fits them, or units z-scored over the stimuli"
    )
    resample: FactorName | Annotated[list[FactorName], Field(min_length=1, max_length=3)] | None = Field(
        None,
        description="what the experiment sampled and the claim is to generalise over; by default what is there: "
        "identities where they are shown in several views, else stimuli, and neurons of a recording, else subjects",
    )
    variance: Annotated[str, MemberOf(VARIANCES)] = Field("jackknife", description="where standard errors come from")
    n_draws: Annotated[int, Quick(100)] = Field(
        1000, ge=50, le=1_000_000, description="bootstrap draws, for the intervals of best layers"
    )
    control: list[Annotated[str, MemberOf(CONTROLS)]] = Field(
        [],
        description="what is partialled out of RDMs (['view', 'identity']), or which pairs alone are compared; "
        "[] compares RDMs as they are",
    )
    n_permutations: Annotated[int, Quick(100)] = Field(
        1000, ge=10, description="permutations of identities, views kept, for p_identity"
    )
    n_splits: Annotated[int, Quick(10)] = Field(
        100, ge=2, description="random halves of the neurons, for the noise ceiling"
    )
    correction: Literal["holm", "bh", "none"] = Field("holm", description="for multiplicity, over the hypotheses")

    equal_within: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="smallest difference that matters, of two fits, indices, predictions or similarities, or of a part "
        "of a fit or of variance from 0: two layers or regimes can then be equal within it, not only not different",
    )

    @field_validator("resample", "control")
    @classmethod
    def _names_are_distinct(cls, names: str | list[str] | None) -> str | list[str] | None:
        return without_repeats(names)

    def inference(self) -> InferenceOptions:
        """Arguments of ``infer_fits`` that the study sets."""
        return {
            "method": self.method,
            "resample": self.resample,
            "variance": self.variance,
            "n_draws": self.n_draws,
            "n_permutations": self.n_permutations,
            "control": tuple(self.control),
        }
