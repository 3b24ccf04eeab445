"""What a report knows about a study: gathered once from its database, without the data set."""

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import optuna
from optuna.trial import TrialState

from search.analysis.cautions import Region, cautions, diverged_trials, unstable_region
from search.analysis.noise import Sample
from search.analysis.slices import SliceResult, lost_by_the_split, slice_results
from search.analysis.verdict import Leader, validated_references, verdict
from search.config.addresses import NextCommands
from search.config.dimensions import EXPONENT_SUFFIX
from search.config.study import StudySpec
from search.records.results import ConfirmationRecord, ReferenceRecord, words_of_index
from search.records.trials import (
    COSTS,
    FINISHED_STATES,
    TrialRecord,
    best_of,
    counted,
    front_of,
    measure_words,
    ranked,
    short_measure,
)
from search.report import confirmed
from search.report.schema import CostPart
from search.scheduling.next_trial import stall_of
from search.session.session import described, end_of
from search.storage.results import (
    SLICES,
    Ledger,
    kept_confirmations,
    kept_references,
    kept_tests,
)
from search.storage.trials import record_of, records
from search.tracking.names import StudyContext

NOTABLE = 0.05  # a share of the rows that is worth a line at the end of a search

State = Literal["complete", "interrupted", "failed", "running"]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A study as a report shows it."""

    spec: StudySpec
    context: StudyContext
    state: State  # how it stands; ``running`` while a trial is under way, or was left so by a kill
    trials: tuple[TrialRecord, ...]  # all, in the order of their numbers
    # what any model should beat, with the metrics that are known
    references: tuple[ReferenceRecord, ...]
    contenders: tuple[
        confirmed.ContenderResult, ...
    ]  # configurations that were trained with several seeds
    confirmation: ConfirmationRecord | None  # the last one
    leader: Leader | None  # the trial that is best over several seeds; None before a confirmation
    tested: tuple[
        confirmed.TestedTrial, ...
    ]  # trials whose models were tested, the highest mean first
    slice_users: Mapping[str, int]  # how many users each slice of the test rows has
    # share by parameter, the highest first; None where too little is known
    importances: Mapping[str, float] | None
    cost: CostPart
    cautions: tuple[str, ...]
    verdict: tuple[str, ...]
    commands: NextCommands
    written_ms: int  # when this was gathered, milliseconds since 1970

    @property
    def best(self) -> TrialRecord | None:
        """The complete trial with the highest value."""
        return best_of(self.trials)

    @property
    def objective(self) -> str:
        """The objective in words, such as ``top-100 accuracy``."""
        return measure_words(self.spec.objective_metric.removeprefix("val_"))

    @property
    def measure(self) -> str:
        """What a value is called: ``nDCG@10``; the tutorial's is plain ``accuracy``."""
        return short_measure(self.spec.objective_metric)

    @property
    def axis(self) -> str:
        """What stands at an axis of the objective."""
        return f"{self.objective} (validation)"

    @property
    def tests(self) -> Mapping[str, Sample]:
        """Metrics of the test rows over the seeds, of the winner of the last confirmation."""
        return self._winner.metrics if self._winner else {}

    @property
    def index_words(self) -> str:
        """What the index of its model loses and saves; nothing where it has none."""
        return words_of_index(self._winner.index) if self._winner else ""

    @property
    def _winner(self) -> confirmed.TestedTrial | None:
        winner = self.confirmation.trial if self.confirmation else None
        return next((each for each in self.tested if each.trial == winner), None)

    @property
    def lost(self) -> list[str]:
        """What the split loses, in words."""
        return lost_by_the_split(self.context.overlap)

    @property
    def mostly_lost(self) -> list[str]:
        """The same of what has a notable share of the rows: a screen has few lines."""
        return lost_by_the_split(self.context.overlap, least=NOTABLE)

    @cached_property
    def slices(self) -> list[SliceResult]:
        """The test of that winner by parts of the rows, beside the references."""
        objective = self.spec.objective_metric.replace("val_", "test_", 1)
        return slice_results(objective, self.tests, self.references, self.slice_users)

    @property
    def region(self) -> Region | None:
        """The part of the space that is unstable; None where no limit tells it."""
        return unstable_region(self.trials, self.spec.space.bounds)

    @property
    def enqueued_best(self) -> TrialRecord | None:
        """The best of the configurations that the study file enqueues."""
        return best_of(trial for trial in self.trials if trial.reference)

    @property
    def finished(self) -> list[TrialRecord]:
        """Finished trials: complete ones by value, pruned ones by value, then diverged ones.

        Those that are infeasible are last.
        """
        finished = [trial for trial in self.trials if trial.is_finished]
        by_value = sorted(finished, key=lambda trial: (-(trial.value or 0.0), trial.number))
        by_state = sorted(by_value, key=lambda trial: FINISHED_STATES.index(trial.state))
        return sorted(by_state, key=lambda trial: trial.infeasible is not None)

    @property
    def compared(self) -> list[TrialRecord]:
        """The complete and pruned trials with a value, the best last: those are drawn on top."""
        valued = [trial for trial in self.finished if trial.value is not None]
        return sorted(valued, key=lambda trial: trial.value or 0.0)

    @property
    def saved_by_patience(self) -> str:
        """How many epochs patience has saved, in a sentence; empty where it ended no trial."""
        epochs = self.spec.training.epochs
        ended = [each for each in self.trials if each.state == "complete"]
        ended = [each for each in ended if len(each.curve) < epochs]
        if not ended:
            return ""
        return (
            f"Patience ended {counted(len(ended), 'trial')} early and saved "
            f"{self.cost.patience_epochs:,} of their {epochs * len(ended):,} epochs."
        )

    @property
    def has_several(self) -> bool:
        """Whether the study has several objectives."""
        return len(self.spec.objectives) > 1

    @cached_property
    def front(self) -> list[TrialRecord]:
        """The trials that no other beats by all objectives; of one, with as few parameters."""
        first, *further = self.spec.objectives
        return front_of(self.trials, (first, *(further or ["parameters"])))

    @property
    def measured_costs(self) -> list[str]:
        """The costs that were measured on any trial, beside the number of parameters."""
        return [name for name in COSTS[1:] if any(name in trial.costs for trial in self.trials)]

    @property
    def infeasible(self) -> list[TrialRecord]:
        """The finished trials that are above a limit of the study."""
        return [trial for trial in self.finished if trial.infeasible]

    @property
    def diverged(self) -> list[TrialRecord]:
        """The trials whose training diverged; they have no value."""
        return diverged_trials(self.trials)


def gather(study: optuna.Study, spec: StudySpec, commands: Callable[[int], NextCommands]) -> Facts:
    """Everything a report shows; ``commands`` tells what to do next, by the finished trials."""
    ledger, trials = Ledger(study), records(study, spec.limits.given)
    references = kept_references(ledger, test=True)
    contenders = confirmed.contender_results(ledger, trials, spec)
    confirmations = kept_confirmations(ledger)
    leader = confirmed.leader_of(contenders, confirmations, trials)
    context = described(study, spec)
    is_running = any(trial.state == "running" for trial in trials)
    return Facts(
        spec=spec,
        context=context,
        state="running" if is_running else end_of(study, trials, context.trials),
        trials=tuple(trials),
        references=tuple(references),
        contenders=tuple(contenders),
        confirmation=confirmed.last_of(confirmations),
        leader=leader,
        tested=tuple(confirmed.tested_trials(kept_tests(ledger))),
        slice_users=ledger.get(SLICES) or {},
        importances=importances_of(study),
        cost=cost_of(trials, spec.training.epochs, confirmed.seconds_spent(ledger)),
        cautions=tuple(cautions(trials, spec, confirmed.typical_deviation(contenders), leader)),
        verdict=(
            *verdict(
                trials,
                validated_references(references),
                leader,
                objectives=spec.objectives,
            ),
            *_stall(study, spec, context.trials),
        ),
        commands=commands(sum(trial.is_finished for trial in trials)),
        written_ms=round(time.time() * 1000),
    )


def _stall(study: optuna.Study, spec: StudySpec, budget: int) -> list[str]:
    """Why the search ended before it had its trials, where it has stalled."""
    trials = study.get_trials(deepcopy=False)
    reason = stall_of(trials, spec)
    if reason is None or sum(record_of(trial).is_finished for trial in trials) >= budget:
        return []
    return [f"The search stopped before it had {budget} trials: {reason}."]


LEAST_TRIALS = 10
"""Complete trials below which importances say more about chance than about parameters."""


def importances_of(study: optuna.Study) -> dict[str, float] | None:
    """Optuna's importances (PED-ANOVA) of the complete trials, the highest first.

    Shares that sum to 1 by the parameter's readable name; None where there are fewer complete
    trials than :data:`LEAST_TRIALS`, or they do not differ.
    """
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    if len(complete) < LEAST_TRIALS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of widths that few trials have: their share is 0
            is_one = len(study.directions) == 1
            target = None if is_one else lambda trial: -trial.values[0]  # takes low ones for better
            found = optuna.importance.get_param_importances(study, target=target)
    except (RuntimeError, ValueError):
        return None
    named = {name.removesuffix(EXPONENT_SUFFIX): float(share) for name, share in found.items()}
    return named if sum(named.values()) > 0 else None


def cost_of(
    trials: Sequence[TrialRecord], epochs: int, confirmation_seconds: float | None = None
) -> CostPart:
    """The cost of all trials.

    Saved seconds are, for each trial that was pruned or that patience ended, the epochs it did not
    run times its own seconds per epoch: ``(epochs - run) * train_seconds / run``. Building and
    compiling are spread over the epochs that ran, so the estimate is on the high side. ``epochs``
    are those of a whole trial. What was trained before a checkpoint counts for the trial that was
    interrupted.
    """
    cut = [trial for trial in trials if trial.state in ("pruned", "complete") and trial.curve]
    left = {trial.number: epochs - len(trial.curve) for trial in cut}
    trained = sum(trial.train_seconds or 0.0 for trial in trials)
    saved = sum(
        left[trial.number] * (trial.train_seconds or 0.0) / trial.trained_epochs
        for trial in cut
        if trial.trained_epochs
    )
    return CostPart(
        train_seconds=trained,
        wall_seconds=_covered_ms(trials) / 1000,
        trained_epochs=sum(trial.trained_epochs for trial in trials),
        saved_epochs=sum(left.values()),
        patience_epochs=sum(left[trial.number] for trial in cut if trial.state == "complete"),
        saved_seconds=saved,
        saved_share=saved / (trained + saved) if trained + saved > 0 else None,
        diverged_seconds=sum(trial.train_seconds or 0.0 for trial in diverged_trials(trials)),
        confirmation_seconds=confirmation_seconds,
    )


def _covered_ms(trials: Iterable[TrialRecord]) -> int:
    """Milliseconds in which at least one trial that ended ran."""
    spans = sorted(
        (trial.started_ms, trial.ended_ms)
        for trial in trials
        if trial.started_ms is not None and trial.ended_ms is not None
    )
    covered, until = 0, 0
    for start, end in spans:
        covered += max(0, end - max(start, until))
        until = max(until, end)
    return covered


def parameter_count(trial: TrialRecord) -> int | None:
    """The parameters of both towers; None where that is not known."""
    count = trial.derived.get("parameter_count")
    return int(count) if count else None


TOP_SHARE = 0.2  # the share of the complete trials that counts as the top


def top_trials(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The best fifth of the complete trials, best first; at least one if there is any."""
    complete = ranked(trials)
    return complete[: max(1, round(TOP_SHARE * len(complete)))]
