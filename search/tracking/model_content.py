"""What MLflow's registry holds of a model: pure functions from results to tags, and back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from search.analysis.promotion import Confirmed
from search.records.results import TEST_METRIC

MODEL_NAME = "deep-retrieval"
"""The registered model, whatever the study."""

CHAMPION = "champion"
"""The alias of the version to use."""

RECOMMENDER_FOLDER = "recommender"
"""Among the artifacts of a model."""

MODEL_DESCRIPTION = (
    "Two-tower models that recommend titles. A version is the first training of a confirmation; "
    "the alias `champion` is on the one to use: `python -m search.recommend 42`"
)
"""Of the registered model."""

PROMOTED, NOT_PROMOTED = "deeprec.promoted_because", "deeprec.not_promoted_because"

_MEAN, _DEVIATION = "deeprec.test_accuracy_mean", "deeprec.test_accuracy_deviation"
_SEEDS, _FINGERPRINT, _SPLIT = "deeprec.seeds", "deeprec.data_fingerprint", "deeprec.split"


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """A version of a registered model.

    Attributes:
        name: of the registered model.
        version: its number.
        run_id: of the run that made it; None where it is not known.
        confirmed: what it was found to be worth.
    """

    name: str
    version: str
    run_id: str | None
    confirmed: Confirmed


def worth_of(confirmed: Confirmed) -> str:
    """The accuracy on the test rows for people, such as ``0.3465 ± 0.0048``."""
    spread = "" if confirmed.deviation is None else f" ± {confirmed.deviation:.4f}"
    return f"{confirmed.mean:.4f}{spread}"


def description_of(confirmed: Confirmed, note: str) -> str:
    """What a version is, in Markdown.

    Args:
        confirmed: what it was found to be worth.
        note: of the run that made it.
    """
    trainings = "one training" if confirmed.seeds == 1 else f"{confirmed.seeds} trainings"
    return (
        f"**Top-100 accuracy {worth_of(confirmed)}** on the test rows ({trainings}, "
        f"{confirmed.split} split).\n\n{note}"
    ).strip()


def tags_of(confirmed: Confirmed) -> dict[str, str]:
    """The tags of a version that keep what it is worth."""
    deviation = confirmed.deviation
    return {
        TEST_METRIC: worth_of(confirmed),
        _MEAN: repr(confirmed.mean),
        **({} if deviation is None else {_DEVIATION: repr(deviation)}),
        _SEEDS: str(confirmed.seeds),
        _FINGERPRINT: confirmed.data_fingerprint,
        _SPLIT: confirmed.split,
    }


def confirmed_of(tags: Mapping[str, str]) -> Confirmed:
    """What a version is worth; one without such tags was tested on data that nobody knows."""
    deviation = tags.get(_DEVIATION)
    return Confirmed(
        mean=float(tags.get(_MEAN, math.nan)),
        deviation=None if deviation is None else float(deviation),
        seeds=int(tags.get(_SEEDS, 0)),
        data_fingerprint=tags.get(_FINGERPRINT, "unknown"),
        split=tags.get(_SPLIT, "unknown"),
    )
