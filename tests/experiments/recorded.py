"""Recorded trials: a file of JSON lines for each study."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "curves"


@dataclass(frozen=True)
class Recorded:
    """A configuration that was trained to its last epoch, or to where it diverged."""

    parameters: Mapping[str, Any]  # as the sampler has them
    seed: int  # of the training
    values: tuple[float, ...]  # the objective after each validation
    diverged: bool
    seconds: float  # of the training, on a busy machine

    @property
    def best(self) -> float:
        """The value of the trial; 0 where it diverged."""
        return 0.0 if self.diverged else max(self.values)

    def to_json(self) -> str:
        """A line of the file."""
        shown = {name: _short(value) for name, value in self.parameters.items()}
        values = [round(value, 5) for value in self.values]
        return json.dumps({**asdict(self), "parameters": shown, "values": values})


def file_of(study: str) -> Path:
    """Where the recorded trials of a study are."""
    return FOLDER / f"{study}.jsonl"


def read(study: str) -> list[Recorded]:
    """The recorded trials of a study, in the order in which they were trained."""
    path = file_of(study)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    return [Recorded(**{**each, "values": tuple(each["values"])}) for each in found]


def distinct(recorded: Sequence[Recorded]) -> list[Recorded]:
    """The first training of each configuration."""
    first: dict[str, Recorded] = {}
    for each in recorded:
        first.setdefault(str(each.parameters), each)
    return list(first.values())


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value
