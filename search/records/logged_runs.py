"""A run as MLflow holds it, as far as it takes to train it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from search.records.errors import InputError

LoggedKind = Literal["trial", "retrain"]

FINGERPRINT = "deeprec.data_fingerprint"
VERSION = "deeprec.version."
COMPUTED_ON = "deeprec.computed_on."
"""How the tags begin that say what decided how sums were rounded."""

THREADS = "threads"

_IN_WORDS = {
    "device": "the device",
    THREADS: "the number of threads",
    "matmul_precision": "JAX_DEFAULT_MATMUL_PRECISION",
    "xla_flags": "XLA_FLAGS",
}


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """A trial's run, or that of a re-training."""

    run_id: str
    name: str
    study: str
    kind: LoggedKind
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    epochs: int  # the last epoch it trained
    spec_text: str  # the study file of its study

    @property
    def seed(self) -> int:
        """The seed of the training; InputError where the run has none."""
        try:
            return int(self.params["seed"])
        except (KeyError, ValueError):
            raise InputError(f"run {self.run_id} cannot be reproduced: it has no seed") from None

    @property
    def computed_on(self) -> Mapping[str, str]:
        """What decided how its sums were rounded; empty for runs of version 0.1.0."""
        return {
            name.removeprefix(COMPUTED_ON): value
            for name, value in self.tags.items()
            if name.startswith(COMPUTED_ON)
        }

    def changes(
        self, fingerprint: str, versions: Mapping[str, str], computed_on: Mapping[str, str]
    ) -> list[str]:
        """What is not as it was when the run was made, a sentence each."""
        found = []
        before = self.tags.get(FINGERPRINT, "unknown")
        if before != fingerprint:
            found.append(f"the prepared data set was {before[:12]}, is {fingerprint[:12]}")
        for name in sorted(versions):
            was = self.tags.get(VERSION + name)
            if was is not None and was != versions[name]:
                found.append(f"{name} was {was}, is {versions[name]}")
        before_on = self.computed_on
        for name in _IN_WORDS if before_on else ():
            was, now = (each.get(name, "not set") for each in (before_on, computed_on))
            if was != now:
                found.append(f"{_IN_WORDS[name]} was {was}, is {now}")
        return found
