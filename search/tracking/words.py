"""What people read of a run: its name, and the note that says what it is and what to do next."""

from collections import Counter
from collections.abc import Mapping, Sequence

from search.records.results import (
    ConfirmationRecord,
    ReferenceRecord,
    RetrainRecord,
    test_metric,
    words_of_index,
)
from search.records.trials import (
    StudyState,
    TrialRecord,
    TrialState,
    best_of,
    measure_words,
    metric_words,
    objective_of,
    parameter_words,
)
from search.tracking.models import recommend_by
from search.tracking.names import StudyContext

LONGEST_TEXT = 1000  # characters of a reason; MLflow cuts tags off at 8,000


def trial_name(trial: TrialRecord) -> str:
    """The number, what came of it, the layers: a table shows some twenty characters."""
    ended_badly = trial.state in ("pruned", "diverged", "failed", "interrupted")
    outcome = f" {trial.state}" if ended_badly else ""
    outcome = _figure(trial.value) if trial.state == "complete" else outcome
    outcome = " infeasible" if trial.infeasible else outcome
    return f"trial {trial.number:03d}{outcome} {trial.layer_sizes}".rstrip()


def study_name(context: StudyContext, best: TrialRecord | None) -> str:
    """The study and, once there is a best trial, what it reached."""
    return f"study {context.name}{_figure(best.value if best else None)}"


def retrain_name(record: RetrainRecord) -> str:
    """What the test rows said, and of which trial."""
    kind = "refresh" if record.is_refresh else "test"
    return f"{kind}{_main_metric(record.metrics)} trial {record.trial:03d}"


def reference_name(record: ReferenceRecord) -> str:
    """The reference and what it reaches."""
    return f"{record.title}{_main_metric(record.metrics)} (reference)"


def confirmation_name(record: ConfirmationRecord) -> str:
    """The mean on the test rows, and of what."""
    return f"confirmed{_figure(record.metrics.get(_mean_of_test(record)))} {record.name}"


def trial_note(trial: TrialRecord, context: StudyContext) -> str:
    """What the trial was, how it ended, and the command that confirms it."""
    configuration = parameter_words(trial.parameters)
    reference = f" (the reference {trial.reference!r})" if trial.reference else ""
    retry = f" It runs trial {trial.retry_of} again." if trial.retry_of is not None else ""
    if trial.resumed_after is not None:
        retry = f" It goes on with trial {trial.retry_of} after its epoch {trial.resumed_after}."
    can_win = trial.state == "complete" and trial.is_comparable
    return (
        f"Trial {trial.number} of study `{context.name}`{reference}: a two-tower model"
        f"{configuration and f' with {configuration}'}. {_outcome(trial, context)}"
        f"{_infeasible(trial)}{retry}"
        + (_next(f"{context.next_command} --trial {trial.number}") if can_win else "")
    )


def study_note(
    context: StudyContext, trials: Sequence[TrialRecord], state: StudyState | None
) -> str:
    """What is searched on which rows, how it stands, and the next command."""
    rows = "".join(f", {count:,} {part} rows" for part, count in context.rows.items())
    return (
        f"Study `{context.name}`: a search over two-tower retrieval models on "
        f"{context.data_name} ({context.split} split{rows}). Its trials are the child runs; "
        f"compare them by their best validation {_objective(context)}.\n\n"
        f"{_study_result(trials, state, context)}{_next(context.next_command)}"
    )


def retrain_note(record: RetrainRecord, context: StudyContext) -> str:
    """What was trained on which rows, and what the test rows said."""
    results = "; ".join(
        f"{metric_words(name).removeprefix('test: ')} {value:.4f}"
        for name, value in record.metrics.items()
    )
    if record.collapsed:
        results = f"it collapsed: {record.collapsed}"
    index = words_of_index(record.index)
    rows = "newer data: the" if record.is_refresh else "the"
    return (
        f"Trial {record.trial} of study `{context.name}`, trained again on {rows} training and "
        f"validation rows for {record.epochs} epochs (seed {record.seed}) and tested once: "
        f"{results}.{index and f' {index}'}{_next(recommend_by(context.registered_model))}"
    )


def reference_note(record: ReferenceRecord, context: StudyContext) -> str:
    """What the reference is for."""
    return (
        f"{record.title}, a reference of study `{context.name}`: fitted on the rows that a model "
        "learns from, measured by the same code. A model should beat it."
        f"{_next(context.next_command)}"
    )


def confirmation_note(record: ConfirmationRecord, context: StudyContext) -> str:
    """The verdict of the confirmation, line by line."""
    return "\n\n".join(record.lines) + _next(recommend_by(context.registered_model))


def short(text: str | None) -> str | None:
    """The text, cut off where it would not fit a tag."""
    return text if text is None or len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _figure(value: float | None) -> str:
    return "" if value is None else f" {value:.4f}"


def _main_metric(metrics: Mapping[str, float]) -> str:
    """The objective of the test rows where it is known, else that of the validation rows."""
    tested = [name for name in metrics if name.startswith("test_")]
    return _figure(metrics[test_metric(tested)] if tested else objective_of(metrics))


def _objective(context: StudyContext) -> str:
    """The objective in words, such as ``top-100 accuracy``."""
    return measure_words(context.objective.removeprefix("val_"))


def _mean_of_test(record: ConfirmationRecord) -> str:
    """The name of the objective's mean over the seeds on the test rows."""
    means = [name for name in record.metrics if name.startswith("test_") and name.endswith("_mean")]
    return means[0] if means else ""


def _outcome(trial: TrialRecord, context: StudyContext) -> str:
    reached = "no accuracy yet" if trial.value is None else f"{trial.value:.4f}"
    because = f": {short(trial.reason)}" if trial.reason else ""
    name = _objective(context)
    if trial.state == "pruned" and not trial.curve:
        return "It was not trained."
    sentences: Mapping[TrialState, str] = {
        "waiting": "It has not started.",
        "running": "It is running.",
        "complete": f"Best validation {name} {reached}, at epoch {trial.best_epoch}.",
        "pruned": f"Pruned at epoch {trial.pruned_at_epoch}; best validation {name} until then: "
        f"{reached}.",
        "diverged": f"It diverged{because}.",
        "failed": f"It failed{because}.",
        "interrupted": f"It was interrupted{because}; its configuration runs first on resume.",
    }
    return sentences[trial.state]


def _infeasible(trial: TrialRecord) -> str:
    return f" It is infeasible: {trial.infeasible}." if trial.infeasible else ""


def _study_result(
    trials: Sequence[TrialRecord], state: StudyState | None, context: StudyContext
) -> str:
    if state is None:
        return "The search is running."
    counts = Counter(trial.state for trial in trials)
    summary = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    best = best_of(trials)
    if best is None:
        return f"The search is {state}. Trials: {summary or 'none'}."
    configuration = parameter_words(best.parameters)
    return (
        f"The search is {state}. Trials: {summary}. **Best validation {_objective(context)} "
        f"{best.value:.4f}**: trial {best.number}{configuration and f', {configuration}'}, "
        f"epoch {best.best_epoch}."
    )


def _next(command: str) -> str:
    return f"\n\nNext: `{command}`"
