"""The pictures of runs, by artifact name. Matplotlib is imported when the first one is drawn."""

from collections.abc import Mapping, Sequence

from search.trials import TrialRecord

CURVES = "curves.png"
BEST_BY_DEPTH = "best_by_depth.png"


def trial_pictures(trial: TrialRecord) -> Mapping[str, bytes]:
    """The artifacts of a trial's run that are drawn from its record."""
    from search.figures import curves_png

    return {CURVES: curves_png(trial)}


def study_pictures(trials: Sequence[TrialRecord]) -> Mapping[str, bytes]:
    """The artifacts of a study's run that are drawn from its trials."""
    from search.figures import best_by_depth_png

    return {BEST_BY_DEPTH: best_by_depth_png(trials)}
