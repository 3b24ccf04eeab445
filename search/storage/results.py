"""What a study's ledger holds, as records, for display: nothing is computed."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Self

import optuna

from search.records.results import ConfirmationRecord, ReferenceRecord, RetrainRecord
from search.records.trials import objective_in, objective_of
from search.storage.attributes import RESULT
from search.storage.files import find_towers
from search.storage.trials import curve_from_json


class Ledger:
    """Results by name, each a JSON value, as attributes of a study.

    A process that is killed loses what it was computing and nothing else.

    The study is held by this process alone while results are computed. A ``part`` begins the names
    of results that are apart from those of the study's own data.
    """

    def __init__(self, study: optuna.Study, part: str = "") -> None:
        self._study = study
        self._start = RESULT + part

    def get(self, name: str) -> Any | None:
        """The result, or None where it was not computed yet."""
        return self._study.user_attrs.get(self._start + name)

    def starting_with(self, start: str) -> dict[str, Any]:
        """All results whose names begin like this, by the rest of the name."""
        start = self._start + start
        attributes = self._study.user_attrs
        return {
            name.removeprefix(start): result
            for name, result in attributes.items()
            if name.startswith(start)
        }

    def keep(self, name: str, result: Mapping[str, Any]) -> None:
        """Keeps a result, in the place of an earlier one."""
        self._study.set_user_attr(self._start + name, dict(result))

    def computed(self, name: str, compute: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The result; it is computed and kept the first time."""
        known = self.get(name)
        if known is None:
            known = dict(compute())
            self.keep(name, known)
        return known


REFERENCES = "references"
VALIDATION = "validation:"
TEST = "test:"
CONFIRMATION = "confirmation:"
SLICES = "slices:test"

SECONDS = "seconds"
"""Key of a validation's result: what it took. Studies of earlier versions lack it."""

COLLAPSED = "collapsed"
"""Key of a validation's result: why it is none, for the training diverged or is no better than
chance."""

USERS = "users"
"""Key of a validation's result: what each user adds to the objective, by metric."""


class TrainingKey(NamedTuple):
    """Tells a training of a confirmation from the others."""

    contender: str  # key of its configuration
    epochs: int
    number: int  # of its seed, from 0

    @property
    def validation(self) -> str:
        """The name of the result on the validation rows."""
        return f"{VALIDATION}{self.contender}:{self.epochs}:{self.number}"

    @property
    def test(self) -> str:
        """The name of the result on the test rows."""
        return f"{TEST}{self.contender}:{self.epochs}:{self.number}"

    @classmethod
    def of(cls, name: str) -> Self:
        """The key at the end of a result's name."""
        contender, epochs, number = name.rsplit(":", 2)
        return cls(contender, int(epochs), int(number))


def kept_references(ledger: Ledger, *, test: bool) -> list[ReferenceRecord]:
    """The references that were measured on the validation rows.

    ``test`` adds the metrics of the test rows, where they are known.
    """
    tested = reference_entries(ledger, "test") if test else {}
    found = []
    for name, of_one in reference_entries(ledger, "validation").items():
        both = {
            part: of_one.get(part, {}) | tested.get(name, {}).get(part, {})
            for part in ("metrics", "users")
        }
        found.append(ReferenceRecord(name=name, **{**of_one, **both}))
    return found


def reference_entries(ledger: Ledger, split: str) -> dict[str, Mapping[str, Any]]:
    """What is kept of each reference on some rows (``validation``, ``test``), as it was measured.

    A reference has a result of its own, of one or two entries. Studies of earlier versions have one
    for all of theirs: their entries are kept, and what they lack is added.
    """
    parts = ledger.starting_with(f"{REFERENCES}:{split}:").values()
    entries = ledger.get(f"{REFERENCES}:{split}") or {}
    added = {name: entry for part in parts for name, entry in part.items()}
    in_order = sorted(added.items(), key=lambda entry: entry[1]["measured_ms"])
    return {**entries, **dict(in_order)}


def keep_reference(
    ledger: Ledger, split: str, name: str, entries: Mapping[str, Mapping[str, Any]]
) -> None:
    """Keeps what was measured of a reference on some rows."""
    ledger.keep(f"{REFERENCES}:{split}:{name}", entries)


def kept_retrainings(
    ledger: Ledger, towers_folder: Path
) -> list[tuple[RetrainRecord, Path | None]]:
    """The re-trainings that were tested, each with the folder of its towers if they were kept."""
    found = []
    for name, result in ledger.starting_with(TEST).items():
        key = TrainingKey.of(name)
        folder = confirmed_folder(key.contender, key.epochs)
        towers = find_towers(towers_folder, folder) if key.number == 0 else None
        found.append((retraining_of(result), towers))
    return found


def kept_validations(ledger: Ledger) -> dict[TrainingKey, Mapping[str, Any]]:
    """The trainings that were validated, with what came of each."""
    results = ledger.starting_with(VALIDATION)
    return {TrainingKey.of(name): result for name, result in results.items()}


def kept_tests(ledger: Ledger) -> list[RetrainRecord]:
    """The re-trainings that were tested, wherever their towers lie."""
    return [retraining_of(result) for result in ledger.starting_with(TEST).values()]


class ValidatedSeed(NamedTuple):
    """What a validation says of a training with one seed."""

    value: float | None  # the objective; None where the training collapsed
    users: str | None  # what each user adds to it, see :attr:`.UserResults.text`; None if not kept

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Self:
        """From what is kept of it."""
        users = result.get(USERS, {}).get(objective_in(result))
        return cls(None if COLLAPSED in result else objective_of(result), users)


def kept_confirmations(ledger: Ledger) -> list[ConfirmationRecord]:
    """What the last confirmation of every winner found."""
    return [
        ConfirmationRecord(
            **{
                **result,
                "lines": tuple(result["lines"]),
                "differences": tuple(result.get("differences", ())),
            }
        )
        for result in ledger.starting_with(CONFIRMATION).values()
    ]


def keep_confirmation(ledger: Ledger, record: ConfirmationRecord) -> None:
    """Keeps what a confirmation found, in the place of an earlier one of the same trial."""
    ledger.keep(f"{CONFIRMATION}{record.trial}", asdict(record))


def retraining_of(result: Mapping[str, Any]) -> RetrainRecord:
    """A re-training, from the result of its test."""
    return RetrainRecord(**{**result, "curve": curve_from_json(result["curve"])})


def confirmed_folder(contender: str, epochs: int) -> str:
    """The name of the folder of a confirmed model, by the contender's key."""
    return f"confirmed-{contender}-{epochs}-epochs"
