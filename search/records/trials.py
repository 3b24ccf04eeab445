"""A trial in words: its parameters, how it ended, and what its model costs in use."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

Cost = Literal["parameters", "megabytes", "milliseconds"]

COSTS: tuple[Cost, ...] = get_args(Cost)

Limits = Mapping[str, float]
"""The most that a trial may cost, by the name of the cost; empty where nothing is limited."""

_UNITS: Mapping[str, str] = {"parameters": "parameters", "megabytes": "MB", "milliseconds": "ms"}


def cost_text(name: str, value: float) -> str:
    """A cost without its unit: ``1,234,567`` parameters, ``7.531`` megabytes."""
    return f"{value:,.0f}" if name == "parameters" else f"{value:.4g}"


def cost_words(name: str, value: float) -> str:
    """A cost in words, such as ``1,234,567 parameters`` or ``7.531 MB``."""
    return f"{cost_text(name, value)} {_UNITS[name]}"


def excesses(costs: Mapping[str, float], limits: Limits) -> dict[str, float]:
    """By how much of its limit each known cost is above it; 0 or less keeps the limit."""
    return {name: costs[name] / limit - 1 for name, limit in limits.items() if name in costs}


def breach(costs: Mapping[str, float], limits: Limits, *, is_whole: bool) -> str | None:
    """Which limits are broken, in words; None where all are kept.

    Of a trial that is whole, one that ran to its end, every cost was to be measured: where one was
    not, as the limit is newer than the trial, it is not known to be kept.
    """
    above = excesses(costs, limits)
    words = [
        f"{cost_words(name, costs[name])} (limit {cost_text(name, limit)})"
        if name in costs
        else f"{name} not measured (limit {cost_text(name, limit)})"
        for name, limit in limits.items()
        if (above[name] > 0 if name in costs else is_whole)
    ]
    return ", ".join(words) or None


TrialState = Literal[
    "waiting", "running", "complete", "pruned", "diverged", "failed", "interrupted"
]
StudyState = Literal["complete", "interrupted", "failed"]  # how a search ended

TUTORIAL_OBJECTIVE = "val_top_100_accuracy"
"""What a trial of MovieLens is judged by, unless its study says otherwise; higher is better."""

FINISHED_STATES: tuple[TrialState, ...] = ("complete", "pruned", "diverged")
"""The states that count towards ``--trials``."""


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """The metrics at the end of one epoch."""

    epoch: int  # counted from 1
    timestamp_ms: int  # when the epoch ended, milliseconds since 1970
    # ``train_loss`` of every epoch; on validated epochs also ``val_loss`` and the metrics of the
    # study, the objective first
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """One trial of a study."""

    number: int  # the number Optuna gave it, from 0
    state: TrialState
    # the sampled parameters by name, as people read them (widths, not exponents)
    parameters: Mapping[str, int | float | str] = field(default_factory=dict)
    # what follows from them: ``layer_sizes`` (as text), ``parameter_count``, ``seed``
    derived: Mapping[str, int | str] = field(default_factory=dict)
    # the best validated objective; None while there is none, and where the training
    # diverged
    value: float | None = None
    best_epoch: int | None = None  # the epoch of that value
    # what it costs in use, by the names of :mod:`search.records.trials`, as far as it is known
    costs: Mapping[str, float] = field(default_factory=dict)
    # which limits of the study it breaks, in words: then it is no best one, whatever its value
    infeasible: str | None = None
    pruned_at_epoch: int | None = None  # where the pruner stopped it, if it did
    reason: str | None = None  # why it diverged, failed or was interrupted, if it did
    out_of_memory: bool = False  # whether it failed because it needs more memory than there is
    # name of the enqueued configuration this is, such as ``tutorial (64, 32)``
    reference: str | None = None
    # number of the interrupted trial whose configuration this one runs again
    retry_of: int | None = None
    # the epoch of the checkpoint that it went on from; its curve begins with those before
    resumed_after: int | None = None
    # study and number of the trial of another study that this one is, such as ``tutorial/12``
    taken_over: str | None = None
    curve: tuple[CurvePoint, ...] = ()
    started_ms: int | None = None
    ended_ms: int | None = None  # milliseconds since 1970; None while it runs
    # what decides how its sums were rounded, see :func:`search.execution.runtime.computed_on`;
    # empty for trials of version 0.1.0
    computed_on: Mapping[str, str] = field(default_factory=dict)
    # seconds of building, training and validating the model, compilation included; what the search
    # itself costs (storage, tracking, saving) is not, nor what was trained before its checkpoint
    train_seconds: float | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the trial counts towards the budget."""
        return self.state in FINISHED_STATES

    @property
    def is_comparable(self) -> bool:
        """Whether it has a value, and keeps the limits of the study."""
        return self.value is not None and self.infeasible is None

    @property
    def origin(self) -> str:
        """What the study file calls it, or where it was taken over from; usually nothing."""
        called = self.reference or ""
        called = called.removesuffix(self.layer_sizes).strip() or called
        return called or self.taken_over or ""

    @property
    def has_ended(self) -> bool:
        """Whether the trial is over, however it ended."""
        return self.state not in ("waiting", "running")

    def reached(self, objective: str) -> float | None:
        """What it has of an objective: a cost, or a metric at the epoch of its value."""
        if objective in COSTS:
            return self.costs.get(objective)
        at_best = (point.metrics for point in self.curve if point.epoch == self.best_epoch)
        return next(at_best, {}).get(objective)

    @property
    def first_try(self) -> int:
        """The number of the first trial of its configuration."""
        return self.number if self.retry_of is None else self.retry_of

    @property
    def trained_epochs(self) -> int:
        """The epochs that it trained itself, without those before its checkpoint."""
        return len(self.curve) - (self.resumed_after or 0)

    @property
    def objective(self) -> str:
        """The objective in words, such as ``nDCG@10``; the tutorial's is plain ``accuracy``."""
        found = next(filter(None, (objective_in(point.metrics) for point in self.curve)), None)
        return short_measure(found or TUTORIAL_OBJECTIVE)

    @property
    def curve_values(self) -> list[Mapping[str, float]]:
        """The metrics of every epoch, without the times: equal in equal trainings."""
        return [point.metrics for point in self.curve]

    @property
    def row(self) -> Mapping[str, int | float | str | None]:
        """The trial as a row of a table, without its curve; times in milliseconds since 1970."""
        return {
            "number": self.number,
            "state": self.state,
            "value": self.value,
            "best_epoch": self.best_epoch,
            "epochs": self.curve[-1].epoch if self.curve else 0,
            **self.parameters,
            **self.derived,
            "train_seconds": self.train_seconds,
            "reference": self.reference,
            "retry_of": self.retry_of,
            "taken_over": self.taken_over,
            "reason": self.reason,
            "started": self.started_ms,
            "ended": self.ended_ms,
        }

    @property
    def layer_sizes(self) -> str:
        """The widths as text, such as ``(64, 32)``; empty while unknown."""
        return str(self.derived.get("layer_sizes", ""))


def ranked(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The complete trials within the limits, the highest value first, of equals the earliest."""
    able = (each for each in trials if each.state == "complete" and each.is_comparable)
    return sorted(able, key=lambda trial: (-(trial.value or 0.0), trial.number))


def best_of(trials: Iterable[TrialRecord]) -> TrialRecord | None:
    """The first of them, or None."""
    return next(iter(ranked(trials)), None)


def front_of(trials: Iterable[TrialRecord], objectives: Sequence[str]) -> list[TrialRecord]:
    """The Pareto front: the best trials by several objectives, the highest value first.

    They are the complete trials within the limits that no other one dominates, which is to be no
    worse by any objective: of equals the earliest stays. The first objective is the value; costs
    are minimized, all else is maximized.
    """
    front: list[tuple[tuple[float, ...], TrialRecord]] = []
    known = [(losses, trial) for trial in ranked(trials) if (losses := _losses(trial, objectives))]
    for losses, trial in sorted(known, key=lambda pair: (pair[0], pair[1].number)):
        if not any(all(map(float.__le__, other, losses)) for other, _ in front):
            front.append((losses, trial))
    return [trial for _, trial in front]


def _losses(trial: TrialRecord, objectives: Sequence[str]) -> tuple[float, ...]:
    """A trial by all objectives, the less the better; empty where one is not known."""
    values = [trial.value, *map(trial.reached, objectives[1:])]
    signs = [1.0 if name in COSTS else -1.0 for name in objectives]
    known = [sign * v for sign, v in zip(signs, values, strict=True) if v is not None]
    return tuple(known) if len(known) == len(values) else ()


def depth_of(layer_sizes: str) -> int:
    """The depth of widths as text, such as ``(64, 32)``; 0 where they are unknown."""
    return len(re.findall(r"\d+", layer_sizes))


def by_depth(trials: Iterable[TrialRecord]) -> Mapping[int, Sequence[TrialRecord]]:
    """All trials of each depth, shallow to deep."""
    found: dict[int, list[TrialRecord]] = {}
    for trial in trials:
        found.setdefault(depth_of(trial.layer_sizes), []).append(trial)
    return dict(sorted(found.items()))


def best_by_depth(trials: Iterable[TrialRecord]) -> Mapping[int, TrialRecord]:
    """The best finished trial of each depth that is known, shallow to deep.

    A complete trial beats a pruned one; the earlier trial wins among equals.
    """
    valued = [trial for trial in trials if trial.is_finished and trial.is_comparable]
    valued.sort(key=lambda trial: (trial.state != "complete", -(trial.value or 0.0), trial.number))
    return {depth: alike[0] for depth, alike in by_depth(valued).items() if depth}


SEEN_KEPT, SEEN_REMOVED = "seen movies ranked too", "seen movies left out"
"""Whether the movies that a user rated in training stay candidates when a metric is computed."""

MOVIELENS_METRICS = ("top_100_accuracy", "top_100_accuracy_unseen", "recall_at_10", "ndcg_at_10")
"""What tables show of models of MovieLens, in their order."""

_SHORT_NAMES = {"ndcg": "nDCG", "mrr": "MRR", "map": "MAP", "gini": "Gini"}

_SLICED = re.compile(r"(.+?(?:_at_\d+|_accuracy))_(?!unseen$)(.+)")

_IN_COLUMNS = ("embedding_dimension", "learning_rate")


def metric_words(name: str) -> str:
    """A metric for people: ``test_recall_at_10`` is ``test: recall@10``."""
    part, _, metric = name.partition("_")
    where = {"val": "validation"}.get(part, part)
    return f"{where}: {measure_words(metric)}"


def measure_words(metric: str) -> str:
    """A metric without its rows: ``ndcg_at_10`` is ``nDCG@10``."""
    if found := re.fullmatch(r"top_(\d+)_accuracy(_unseen)?", metric):
        return f"top-{found[1]} accuracy" + (f", {SEEN_REMOVED}" if found[2] else "")
    if found := re.fullmatch(r"(\w+)_at_(\d+)", metric):
        return f"{_SHORT_NAMES.get(found[1], parameter_name(found[1]))}@{found[2]}"
    if found := _SLICED.fullmatch(metric):
        return f"{measure_words(found[1])}, {slice_words(found[2])}"
    return parameter_name(metric)


def objective_words(name: str) -> str:
    """An objective of several where there is little room: ``nDCG@10``, ``parameters``."""
    return name if name in COSTS else short_measure(name)


def objective_text(name: str, value: float | None) -> str:
    """Its value: ``0.2103``, ``412,000``."""
    if value is None:
        return ""
    return cost_text(name, value) if name in COSTS else f"{value:.4f}"


def all_reached(trial: TrialRecord, objectives: Iterable[str]) -> dict[str, str]:
    """What a trial has of each objective, as text, by the objective in words."""
    return {objective_words(name): objective_text(name, trial.reached(name)) for name in objectives}


def short_measure(metric: str) -> str:
    """An objective where there is little room: ``nDCG@10``; the tutorial's is plain ``accuracy``.

    ``metric`` is its name among those of the validation or test rows.
    """
    name = metric.partition("_")[2]
    return "accuracy" if f"val_{name}" == TUTORIAL_OBJECTIVE else measure_words(name)


def objective_in(metrics: Iterable[str]) -> str | None:
    """The name of the objective: the first metric of the validation rows beside the loss."""
    return next((n for n in metrics if n.startswith("val_") and n != "val_loss"), None)


def objective_of(metrics: Mapping[str, float]) -> float | None:
    """The objective's value in the metrics of an epoch; None where it was not validated."""
    name = objective_in(metrics)
    return None if name is None else metrics[name]


def shown_metrics(known: Iterable[str]) -> list[str]:
    """What tables show of the metrics that are known, in their order: no losses, no slices."""
    names = list(dict.fromkeys(known))
    order = [f"{part}_{name}" for part in ("val", "test") for name in MOVIELENS_METRICS]
    if not set(order[1::4]).isdisjoint(names):
        return [name for name in order if name in names]
    in_parts = sorted(names, key=lambda name: not name.startswith("val_"))
    return [name for name in in_parts if not (name.endswith("_loss") or _SLICED.match(name))]


def slice_words(name: str) -> str:
    """A part of the rows for people: ``unknown users``, ``region north``."""
    return parameter_name(name).replace(":", " ", 1)


def sliced_metrics(known: Iterable[str]) -> list[str]:
    """Those of the metrics that are known that are of a part of the rows."""
    return [name for name in dict.fromkeys(known) if _SLICED.match(name)]


def counted(count: int, what: str) -> str:
    """Such as ``1 trial``, ``2 trials``."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def parameter_name(name: str) -> str:
    """A parameter's name for people, such as ``embedding dimension``."""
    return name.replace("_", " ")


def parameter_words(parameters: Mapping[str, float | str]) -> str:
    """Parameters in full: ``hidden widths 128, 64, output width 32, learning rate 0.12``.

    Hidden widths come first, from the input to the output; the depth follows from them.
    """
    hidden = [name for name in parameters if name.startswith("hidden_width")]
    hidden.sort(key=lambda name: int(name.rpartition("_")[2]), reverse=True)
    words = []
    if hidden:
        widths = ", ".join(str(parameters[name]) for name in hidden)
        words.append(f"hidden width{'s' if len(hidden) > 1 else ''} {widths}")
    words += [
        f"{parameter_name(name)} {_short(value)}"
        for name, value in parameters.items()
        if name not in (*hidden, "depth")
    ]
    return ", ".join(words)


def configuration_words(trial: TrialRecord) -> str:
    """All that a trial tries: ``layers (64, 32), embedding dimension 32, learning rate 0.12``."""
    layers = f"layers {trial.layer_sizes}" if trial.layer_sizes else ""
    words = (layers, parameter_words(_without_layers(trial)))
    return ", ".join(word for word in words if word)


def further_words(trial: TrialRecord) -> str:
    """The parameters that tables have no column for, such as ``temperature 0.05, dropout 0.1``."""
    parameters = _without_layers(trial)
    return parameter_words({n: each for n, each in parameters.items() if n not in _IN_COLUMNS})


def _without_layers(trial: TrialRecord) -> Mapping[str, float | str]:
    return {
        name: value
        for name, value in trial.parameters.items()
        if name not in ("depth", "output_width") and not name.startswith("hidden_width")
    }


def rate_text(rate: float | None) -> str:
    """A learning rate in two or three digits, at most seven characters; empty if there is none."""
    if rate is None:
        return ""
    in_three = f"{rate:.3g}"
    return in_three if len(in_three) <= 7 else f"{rate:.2g}"


def trial_line(trial: TrialRecord) -> str:
    """A trial that is over, in one plain line."""
    value = f"{trial.objective} {_accuracy(trial)}"
    results = {
        "complete": f"{value} at epoch {trial.best_epoch}",
        "pruned": f"{value} when pruned at epoch {trial.pruned_at_epoch}"
        if trial.curve
        else "not trained",
    }
    result = results.get(trial.state, trial.reason or "no reason recorded")
    if trial.infeasible:
        result = ", ".join(filter(None, (result, f"infeasible: {trial.infeasible}")))
    seconds = "" if trial.train_seconds is None else f"  {trial.train_seconds:.1f} s"
    if trial.resumed_after is not None:
        seconds += f" after epoch {trial.resumed_after}"
    return f"trial {trial.number} {trial.state}: {result}  {configuration_words(trial)}{seconds}"


def _accuracy(trial: TrialRecord) -> str:
    return "unknown" if trial.value is None else f"{trial.value:.4f}"


def _short(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:.3g}" if isinstance(value, float) else str(value).lower()
