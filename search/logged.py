"""A run as MLflow holds it, as far as it takes to train it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from search.errors import InputError

LoggedKind = Literal["trial", "retrain"]

FINGERPRINT = "deeprec.data_fingerprint"
VERSION = "deeprec.version."


@dataclass(frozen=True, kw_only=True)
class LoggedRun:
    """A trial's run, or that of a re-training.

    Attributes:
        run_id: MLflow's.
        name: for people.
        study: name of its study.
        kind: which.
        params: by name, as text.
        metrics: the last value of each.
        tags: by name.
        epochs: the last epoch it trained.
        spec_text: the study file of its study.
    """

    run_id: str
    name: str
    study: str
    kind: LoggedKind
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    epochs: int
    spec_text: str

    @property
    def seed(self) -> int:
        """The seed of the training.

        Raises:
            InputError: the run has none.
        """
        try:
            return int(self.params["seed"])
        except (KeyError, ValueError):
            raise InputError(f"run {self.run_id} cannot be reproduced: it has no seed") from None

    def changes(self, fingerprint: str, versions: Mapping[str, str]) -> list[str]:
        """What is not as it was when the run was made, a sentence each.

        Args:
            fingerprint: of the data set now.
            versions: of the libraries now.
        """
        found = []
        before = self.tags.get(FINGERPRINT, "unknown")
        if before != fingerprint:
            found.append(f"the prepared data set was {before[:12]}, is {fingerprint[:12]}")
        for name in sorted(versions):
            was = self.tags.get(VERSION + name)
            if was is not None and was != versions[name]:
                found.append(f"{name} was {was}, is {versions[name]}")
        return found
