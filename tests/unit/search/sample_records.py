"""Trial records for tests, shaped like those of a real search."""

import math
from pathlib import Path
from typing import Any

from search.records.trials import CurvePoint, TrialRecord, TrialState

START_MS = 1_760_000_000_000


def curve(epochs: int, *, every: int = 5, top: float = 0.33) -> tuple[CurvePoint, ...]:
    """Losses that fall and an accuracy that rises towards ``top``, validated ``every`` epochs."""
    points = []
    for epoch in range(1, epochs + 1):
        metrics = {"train_loss": 0.06 + 0.3 / epoch}
        if epoch % every == 0:
            metrics["val_loss"] = 0.07 + 0.3 / epoch
            metrics["val_top_100_accuracy"] = top * (1 - math.exp(-epoch / 8))
        points.append(CurvePoint(epoch=epoch, timestamp_ms=START_MS + 100 * epoch, metrics=metrics))
    return tuple(points)


def trial(
    number: int = 0,
    state: TrialState = "complete",
    *,
    epochs: int = 10,
    layers: tuple[int, ...] = (64, 32),
    top: float = 0.33,
    **changes: Any,
) -> TrialRecord:
    """A trial that ended as ``state`` says, or that has only just started (``running``)."""
    points = () if state in ("running", "waiting") else curve(epochs, top=top)
    accuracies = [
        point.metrics["val_top_100_accuracy"]
        for point in points
        if "val_top_100_accuracy" in point.metrics
    ]
    fields: dict[str, Any] = {
        "number": number,
        "state": state,
        "parameters": {"depth": len(layers), "learning_rate": 0.05 + number / 1000},
        "derived": {"layer_sizes": str(layers), "parameter_count": 90_000, "seed": 11 + number},
        "value": max(accuracies, default=None),
        "best_epoch": epochs if accuracies else None,
        "pruned_at_epoch": epochs if state == "pruned" else None,
        "reason": "train_loss is not finite at epoch 3" if state == "failed" else None,
        "curve": points,
        "started_ms": START_MS + number,
        "ended_ms": START_MS + 60_000 + number if points else None,
        "train_seconds": 4.5 if points else None,
    }
    return TrialRecord(**(fields | changes))


def started(record: TrialRecord) -> TrialRecord:
    """The record as it was when the trial began."""
    return TrialRecord(
        number=record.number,
        state="running",
        parameters=record.parameters,
        derived=record.derived,
        reference=record.reference,
        retry_of=record.retry_of,
        started_ms=record.started_ms,
    )


def save_towers(folder: Path) -> Path:
    """A folder with two files in the place of towers."""
    folder.mkdir(parents=True)
    for name in ("query_model.keras", "candidate_model.keras"):
        (folder / name).write_bytes(b"weights of " + name.encode())
    return folder
