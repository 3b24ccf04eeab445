"""The record of a re-training."""

from search.records.results import RetrainRecord


def retrained(**derived: int | str) -> RetrainRecord:
    return RetrainRecord(
        trial=1,
        parameters={},
        derived=derived,
        epochs=10,
        seed=3,
        metrics={},
        started_ms=0,
        ended_ms=1,
    )


def test_layer_sizes_are_empty_where_unknown() -> None:
    assert retrained(layer_sizes="(64, 32)").layer_sizes == "(64, 32)"
    assert retrained().layer_sizes == ""
