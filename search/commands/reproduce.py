"""Training a logged run again, from what MLflow holds of it, and comparing the numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rich import box
from rich.table import Table

from deeprec.errors import DivergedError
from deeprec.evaluation.ranking import rank_test_rows
from deeprec.training.device_data import DeviceData
from deeprec.training.train import train_new
from search.config.sections import SpaceSection
from search.config.space import Configuration, logged_configuration
from search.config.study import StudySpec, code_of
from search.execution.data import StudyData
from search.execution.runtime import computed_on, library_versions
from search.records.errors import InputError
from search.session.session import Session
from search.tracking.names import LoggedRun, best_metric

DIFFERENT = 1

TOLERANCE = 1e-6  # accuracies this close are the same number: they are shares of some thousand rows


@dataclass(frozen=True)
class Comparison:
    """One metric, as it was logged and as it came out now."""

    metric: str
    logged: float
    now: float

    @property
    def is_same(self) -> bool:
        """Whether it is the same number."""
        return abs(self.logged - self.now) <= TOLERANCE


def reproduce(session: Session, run: LoggedRun) -> int:
    """Trains the run again; the exit code: 0 where every number is the same, 1 where one differs.

    InputError where the run lacks what it takes.
    """
    screen, data = session.screen, session.load_data()
    versions = {**library_versions(), **code_of(session.spec)}
    changed = run.changes(data.dataset.fingerprint, versions, computed_on())
    for change in changed:
        screen.warn(change)
    screen.announce(
        f"training {run.name} again: {run.epochs} epochs, seed {run.seed}, "
        + ("validated" if run.kind == "trial" else "tested")
    )
    try:
        now = _measured(data, run, session.spec)
    except DivergedError as error:
        screen.warn(f"it does not come out again: {error}")
        return DIFFERENT
    compared = [
        Comparison(name, run.metrics[name], now[name]) for name in now if name in run.metrics
    ]
    screen.print(_table(compared))
    screen.show(verdict(compared, changed, is_recorded=bool(run.computed_on)))
    return 0 if compared and all(each.is_same for each in compared) else DIFFERENT


def configuration_of(run: LoggedRun, space: SpaceSection | None = None) -> Configuration:
    """What was trained; InputError where the run's parameters are not those of a trial."""
    try:
        return logged_configuration(run.params, space)
    except (KeyError, ValueError) as error:
        raise InputError(
            f"run {run.run_id} cannot be reproduced: its parameters are not those of a trial "
            f"({error})"
        ) from None


def verdict(compared: list[Comparison], changed: list[str], *, is_recorded: bool = True) -> str:
    """Whether the numbers came out again, and if not, what may be why.

    What has changed is a sentence each; ``is_recorded`` says whether the run knows what it was
    computed on.
    """
    if not compared:
        return "Nothing to compare: the run has none of the metrics that a training gives."
    different = [each for each in compared if not each.is_same]
    if not different:
        return "Reproduced: every number is the same."
    largest = max(abs(each.logged - each.now) for each in different)
    if changed:
        why = f"since then {'; '.join(changed)}"
    elif is_recorded:
        why = (
            "data, libraries, processor and number of threads are the same: this is another "
            "version of the code, or a GPU, whose sums depend on the order of its threads"
        )
    else:
        why = (
            "data and libraries are the same; the run does not say on which processor and how many "
            "threads it was trained, which decide how sums are rounded"
        )
    return f"NOT reproduced: numbers differ by up to {largest:.4f}; {why}."


def _measured(data: StudyData, run: LoggedRun, spec: StudySpec) -> Mapping[str, float]:
    """Trains as the run did, and measures what it logged."""
    configuration, is_trial = configuration_of(run, spec.space), run.kind == "trial"
    config = replace(configuration.training_config(spec, run.seed), epochs=run.epochs)
    rows = data.of_trials if is_trial else data.training(data.splits.before_test)
    model, result = train_new(
        configuration.model_config(spec.model.towers), DeviceData(rows), config
    )
    if is_trial:
        assert result.best_accuracy is not None, "a trial always has validation rows"
        return {best_metric(spec.objective_metric): result.best_accuracy}
    return rank_test_rows(model, data.dataset, data.splits, data.judge).named("test")


def _table(compared: list[Comparison]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("metric")
    for header in ("logged", "now"):
        table.add_column(header, justify="right")
    for each in compared:
        style = "green" if each.is_same else "red"
        table.add_row(each.metric, f"{each.logged:.6f}", f"{each.now:.6f}", style=style)
    return table
