"""What a report knows about a study: gathered once from its database, without the data set."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import optuna

from search.bounds import bounds_of
from search.cautions import cautions
from search.described import described, end_of
from search.instability import Region, diverged_trials, unstable_region
from search.kept_results import (
    kept_confirmations,
    kept_references,
    kept_tests,
    validation_accuracies,
)
from search.ledger import Ledger
from search.next_commands import NextCommands
from search.noise import Sample
from search.report.confirmed import (
    ContenderResult,
    TestedTrial,
    contender_results,
    last_of,
    leader_of,
    seconds_spent,
    tested_trials,
    typical_deviation,
)
from search.report.cost import Cost, cost_of
from search.report.importance import importances_of
from search.retrained import ConfirmationRecord, ReferenceRecord
from search.spec import StudySpec
from search.stored_trials import records
from search.tracking import StudyContext
from search.trials import FINISHED_STATES, TrialRecord, best_of
from search.verdict import Leader, verdict

State = Literal["complete", "interrupted", "failed", "running"]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A study as a report shows it.

    Attributes:
        spec: the study file.
        context: what is kept with the study: data, commit, versions.
        state: how it stands; ``running`` while a trial is under way, or was left so by a kill.
        trials: all, in the order of their numbers.
        references: what any model should beat, with the metrics that are known.
        contenders: configurations that were trained with several seeds.
        confirmation: the last one; None where there is none yet.
        leader: the trial that is best over several seeds; None before a confirmation.
        tested: trials whose models were tested, the highest mean first.
        importances: share by parameter, the highest first; None where too little is known.
        cost: of the search, and of its confirmation.
        cautions: what to be careful about, in words.
        verdict: what the search reached, in words.
        commands: what to do next.
        written_ms: when this was gathered, milliseconds since 1970.
    """

    spec: StudySpec
    context: StudyContext
    state: State
    trials: tuple[TrialRecord, ...]
    references: tuple[ReferenceRecord, ...]
    contenders: tuple[ContenderResult, ...]
    confirmation: ConfirmationRecord | None
    leader: Leader | None
    tested: tuple[TestedTrial, ...]
    importances: Mapping[str, float] | None
    cost: Cost
    cautions: tuple[str, ...]
    verdict: tuple[str, ...]
    commands: NextCommands
    written_ms: int

    @property
    def best(self) -> TrialRecord | None:
        """The complete trial with the highest value."""
        return best_of(self.trials)

    @property
    def tests(self) -> Mapping[str, Sample]:
        """Metrics of the test rows over the seeds, of the winner of the last confirmation."""
        winner = self.confirmation.trial if self.confirmation else None
        return next((each.metrics for each in self.tested if each.trial == winner), {})

    @property
    def region(self) -> Region | None:
        """The part of the space that is unstable; None where no limit tells it."""
        return unstable_region(self.trials, bounds_of(self.spec.space))

    @property
    def enqueued_best(self) -> TrialRecord | None:
        """The best of the configurations that the study file enqueues."""
        return best_of(trial for trial in self.trials if trial.reference)

    @property
    def finished(self) -> list[TrialRecord]:
        """Finished trials: complete ones by value, pruned ones by value, then diverged ones."""
        return sorted(
            (trial for trial in self.trials if trial.is_finished),
            key=lambda trial: (
                FINISHED_STATES.index(trial.state),
                -(trial.value or 0.0),
                trial.number,
            ),
        )

    @property
    def compared(self) -> list[TrialRecord]:
        """The complete and pruned trials with a value, the best last: those are drawn on top."""
        valued = [trial for trial in self.finished if trial.value is not None]
        healthy = (trial for trial in valued if trial.state != "diverged")
        return sorted(healthy, key=lambda trial: trial.value or 0.0)

    @property
    def diverged(self) -> list[TrialRecord]:
        """The trials whose training diverged."""
        return diverged_trials(self.trials)


def gather(study: optuna.Study, spec: StudySpec, commands: Callable[[int], NextCommands]) -> Facts:
    """Everything a report shows; reads the study and writes nothing.

    Args:
        study: as it is stored.
        spec: its file.
        commands: what to do next, by the number of finished trials, see
            :meth:`search.session.Session.commands`.
    """
    ledger, trials = Ledger(study), records(study)
    references = kept_references(ledger, test=True)
    contenders = contender_results(ledger, trials, spec)
    confirmations = kept_confirmations(ledger)
    leader = leader_of(contenders, confirmations, trials)
    context = described(study, spec)
    return Facts(
        spec=spec,
        context=context,
        state=_state(study, trials, context.trials),
        trials=tuple(trials),
        references=tuple(references),
        contenders=tuple(contenders),
        confirmation=last_of(confirmations),
        leader=leader,
        tested=tuple(tested_trials(kept_tests(ledger))),
        importances=importances_of(study),
        cost=cost_of(trials, spec.training.epochs, confirmation_seconds=seconds_spent(ledger)),
        cautions=tuple(cautions(trials, spec, typical_deviation(contenders), leader)),
        verdict=tuple(verdict(trials, validation_accuracies(references), leader)),
        commands=commands(sum(trial.is_finished for trial in trials)),
        written_ms=round(time.time() * 1000),
    )


def _state(study: optuna.Study, trials: list[TrialRecord], budget: int) -> State:
    if any(trial.state == "running" for trial in trials):
        return "running"
    return end_of(study, trials, budget)
