"""The JSON of a report: its objects, and what each field means."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from search.records.trials import TrialState


class Part(BaseModel):
    """An object of the JSON: without unknown keys, NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def of(cls, *sources: object, **values: Any) -> Self:
        """One whose fields are these values, or attributes of the first source that has them."""
        for name in cls.model_fields.keys() - values.keys():
            values[name] = next(getattr(each, name) for each in sources if hasattr(each, name))
        return cls(**values)


class DataPart(Part):
    """What the study was searched on."""

    dataset: str = Field(description="The data set, such as `movielens/100k`.")
    split: str = Field(description="`random` or `temporal`.")
    fingerprint: str | None = Field(description="SHA-256 of the prepared data.")
    source: str | None = Field(description="Where the data came from.")
    rows: dict[str, int] | None = Field(description="Number of rows by part.")
    overlap: dict[str, dict[str, int]] = Field(
        default={},
        description="Of `validation` and `test`: rows, users and items, and those of them without "
        "a row to learn from; `left_out`: rows of the log in no part, by reason.",
    )


class StudyPart(Part):
    """The study."""

    name: str = Field(description="Its name.")
    description: str = Field(description="What it is for, as its file says; may be empty.")
    state: Literal["complete", "interrupted", "failed", "running"] = Field(
        description="How its last search ended; `running` while a trial is under way, or was left "
        "so by a process that was killed."
    )
    seed: int = Field(description="The origin of every random draw.")
    objective: str = Field(
        description="The metric that values are of, such as `val_top_100_accuracy`."
    )
    objectives: list[str] = Field(
        default=[],
        description="All that trials are judged by, `objective` first; costs are minimized.",
    )
    wanted_trials: int = Field(description="Finished trials that the search aims at.")
    data: DataPart = Field(description="What it was searched on.")
    space_hash: str = Field(description="SHA-256 of space, data and training settings.")
    git_commit: str | None = Field(description="The commit of the code of the last search.")
    versions: dict[str, str] | None = Field(description="Version by library, of the last search.")


class BestPart(Part):
    """The complete trial with the highest value of the search, of one seed."""

    number: int = Field(description="Its number.")
    value: float = Field(description="Best validated objective, 0 to 1.")
    parameters: dict[str, int | float | bool | str] = Field(
        description="Sampled parameters by name."
    )
    layer_sizes: str = Field(description="Widths, input to output, such as `(64, 32)`.")
    parameter_count: int | None = Field(description="Parameters of both towers.")
    best_epoch: int | None = Field(description="The epoch of the value, from 1.")


class TrialPart(Part):
    """A finished trial."""

    rank: int = Field(
        description="From 1; complete trials by value, pruned ones by value, diverged ones, then "
        "infeasible ones."
    )
    number: int = Field(description="Its number.")
    state: Literal["complete", "pruned", "diverged"] = Field(description="How it ended.")
    reason: str | None = Field(default=None, description="Why it diverged, if it did.")
    reference: str | None = Field(description="What the study file calls it, if it enqueues it.")
    taken_over: str | None = Field(
        default=None, description="Study and number of the trial that it is, if it was taken over."
    )
    value: float | None = Field(description="Best validated objective, 0 to 1.")
    parameters: dict[str, int | float | bool | str] = Field(
        description="Sampled parameters by name."
    )
    layer_sizes: str = Field(description="Widths, input to output, such as `(64, 32)`.")
    parameter_count: int | None = Field(description="Parameters of both towers.")
    best_epoch: int | None = Field(description="The epoch of the value, from 1.")
    pruned_at_epoch: int | None = Field(description="Where it was given up.")
    train_seconds: float | None = Field(description="Building, training and validating it.")
    costs: dict[str, float] = Field(
        default={},
        description="What it costs in use, as far as it is known: `parameters`, `megabytes`, "
        "`milliseconds`.",
    )
    values: dict[str, float] = Field(
        default={}, description="All objectives of a study with several, by name."
    )
    infeasible: str | None = Field(
        default=None, description="Which limits of the study it is above, if any."
    )


class ReferencePart(Part):
    """What any model should beat."""

    name: str = Field(description="Such as `popularity`.")
    metrics: dict[str, float] = Field(description="By name: of validation and of test rows.")


class SamplePart(Part):
    """One number measured with several seeds."""

    mean: float = Field(description="The mean of the values; 0 where there are none.")
    standard_deviation: float | None = Field(description="Of the values; null for fewer than two.")
    values: list[float] = Field(description="One for each seed whose training held.")
    collapsed: int = Field(
        default=0, description="Trainings that diverged, or ended no better than chance."
    )
    users_error: float | None = Field(
        default=None,
        description="How far another sample of users would move the mean: its standard error.",
    )


class DifferencePart(Part):
    """How much higher the winner of a confirmation is than another contender, or a reference."""

    metric: str = Field(description="Of the validation rows for contenders, else of the test rows.")
    against: str = Field(description="The other one, for people.")
    mean: float = Field(description="The difference of the two means.")
    interval: list[float] | None = Field(
        description="Of 95 %, over other seeds and other samples of users; null if unknown."
    )
    p: float | None = Field(
        description="Two-sided, corrected as Holm does; null where the noise is unknown."
    )
    comparisons: int = Field(description="How many p was corrected for.")
    over_users: float | None = Field(
        description="Its standard error over users, paired; null where users were not kept."
    )
    users_above: float | None = Field(description="The share of users for whom it is higher.")
    users_below: float | None = Field(description="The share of users for whom it is lower.")


class ContenderPart(SamplePart):
    """A configuration trained with several seeds; validated objectives."""

    name: str = Field(description="For people, such as `trial 12 (64, 32)`.")
    trial: int | None = Field(description="Its number; null for the study's reference.")
    epochs: int = Field(description="Of each training.")
    value_of_search: float | None = Field(description="The value that the search saw.")


class ConfirmedPart(SamplePart):
    """The trial that is best over several seeds; validated objectives."""

    number: int = Field(description="Its number.")
    is_unstable: bool = Field(description="Whether it collapsed with one of its seeds.")


class SlicePart(Part):
    """The objective on a part of the test rows."""

    name: str = Field(description="Such as `unknown_users`, `unknown_items` or `region:north`.")
    users: int | None = Field(description="How many it has; null where they were not counted.")
    winner: SamplePart = Field(description="The winner of the last confirmation.")
    references: dict[str, float] = Field(description="By name.")
    better: str | None = Field(
        description="The best reference, where it is above the winner's mean by more than the "
        "noise; null of less than 30 users."
    )


class TestedPart(Part):
    """A trial whose model was tested."""

    trial: int = Field(description="Its number.")
    metrics: dict[str, SamplePart] = Field(description="Of the test rows, by name.")
    index: dict[str, float] = Field(
        default={},
        description="Of a large catalog: what the index of the served model finds of the ten best "
        "items (`index_recall_at_10`), and the time of a request with it and without "
        "(`index_milliseconds`, `exact_milliseconds`).",
    )


class ConfirmationPart(Part):
    """The best trials over several seeds."""

    winner: int | None = Field(
        description="The trial that won the last one; null while it goes on."
    )
    confirmed_at: str | None = Field(description="When it was decided, ISO 8601 in UTC.")
    contenders: list[ContenderPart] = Field(
        description="Stable trials, the highest mean first; unstable ones; the study's reference."
    )
    verdict: list[str] = Field(description="What it means, in words; empty while it goes on.")
    differences: list[DifferencePart] = Field(
        default=[], description="All comparisons of the winner that were made."
    )
    newer_trials: int = Field(
        default=0,
        description="Finished trials after the last confirmation that were no part of it.",
    )


class CostPart(Part):
    """What the search cost, and its confirmation."""

    train_seconds: float = Field(description="Training of all trials, summed over processes.")
    wall_seconds: float = Field(description="While at least one trial ran.")
    trained_epochs: int = Field(description="Epochs of all trials.")
    saved_epochs: int = Field(
        description="What pruned trials, and those that patience ended, had left of a whole one."
    )
    patience_epochs: int = Field(
        default=0, description="Those of them that were left of trials that patience ended."
    )
    saved_seconds: float = Field(
        description="Estimate: each such trial's missing epochs times its own seconds per epoch."
    )
    diverged_seconds: float = Field(
        default=0.0, description="Training of the trials that diverged."
    )
    saved_share: float | None = Field(
        description="`saved_seconds / (train_seconds + saved_seconds)`; null where nothing ran."
    )
    confirmation_seconds: float | None = Field(
        description="All trainings of the confirmation; null before it, and where it was not timed."
    )


class Report(Part):
    """A study as JSON."""

    schema_version: Literal[1] = Field(description="The version of this format.")
    written_at: str = Field(description="When this was written, ISO 8601 in UTC.")
    study: StudyPart = Field(description="The study.")
    trials: dict[TrialState, int] = Field(description="Number of trials by state, zeros included.")
    best: BestPart | None = Field(
        description="The trial with the highest value of the search; null while none is complete."
    )
    confirmed: ConfirmedPart | None = Field(
        default=None,
        description="The trial that is best over several seeds; null before a confirmation.",
    )
    leaderboard: list[TrialPart] = Field(description="All finished trials, by rank.")
    front: list[int] = Field(
        default=[],
        description="The trials of the Pareto front, the highest value first; empty with one "
        "objective.",
    )
    references: list[ReferencePart] = Field(description="What any model should beat.")
    confirmation: ConfirmationPart | None = Field(description="Null before `search.retrain`.")
    test: dict[str, SamplePart] | None = Field(
        description="The winner of the last confirmation on the test rows, by metric; null before."
    )
    slices: list[SlicePart] = Field(
        default=[], description="That test by parts of the rows, beside the references."
    )
    tested: list[TestedPart] = Field(
        default=[], description="Every trial that was tested, the highest mean first."
    )
    importances: dict[str, float] | None = Field(
        description="Share by parameter, summing to 1; null with too few complete trials."
    )
    cost: CostPart = Field(description="What the search cost, and its confirmation.")
    warnings: list[str] = Field(description="What to be careful about, in words.")
    verdict: list[str] = Field(
        description="What holds now, in words: of the confirmation where there is one."
    )
