"""A logged run: its configuration, and what has changed since."""

from typing import Any

import pytest

from search.commands.reproduce import configuration_of
from search.config.space import Configuration
from search.records.errors import InputError
from search.tracking.names import LoggedRun

PARAMS = {"layer_sizes": "(64, 32)", "embedding_dimension": "16", "learning_rate": "0.05"}
PARAMS["seed"] = "7"
COMPUTED = {"device": "6502", "threads": "2"}


def run(**changes: Any) -> LoggedRun:
    fields: dict[str, Any] = {
        "run_id": "abc",
        "name": "trial 3",
        "study": "tiny",
        "kind": "trial",
        "params": PARAMS,
        "metrics": {},
        "tags": {"deeprec.data_fingerprint": "f" * 64, "deeprec.version.jax": "0.10.2"},
        "epochs": 4,
        "spec_text": "",
    }
    return LoggedRun(**(fields | changes))


def test_the_configuration_is_read_from_the_parameters() -> None:
    assert configuration_of(run()) == Configuration(
        layer_sizes=(64, 32), values={"embedding_dimension": 16, "learning_rate": 0.05}
    )
    ranking = {"normalize": "True", "temperature": "0.1", "dropout": "0.4"}
    logged = run(params={**PARAMS, "layer_sizes": "(32,)", **ranking})
    values = {"normalize": True, "temperature": 0.1, "dropout": 0.4}
    values |= {"embedding_dimension": 16, "learning_rate": 0.05}
    assert configuration_of(logged).values == values
    assert run().seed == 7


@pytest.mark.parametrize("missing", ["layer_sizes", "embedding_dimension", "learning_rate"])
def test_a_run_without_a_parameter_cannot_be_reproduced(missing: str) -> None:
    params = {name: value for name, value in PARAMS.items() if name != missing}
    with pytest.raises(InputError, match=f"run abc cannot be reproduced: .*{missing}"):
        configuration_of(run(params=params))


def test_a_run_without_a_seed_cannot_be_reproduced() -> None:
    with pytest.raises(InputError, match="it has no seed"):
        run(params={}).seed  # noqa: B018


def test_what_has_changed_is_named() -> None:
    assert run().changes("f" * 64, {"jax": "0.10.2", "keras": "3.15"}, {}) == []
    assert run().changes("e" * 64, {"jax": "0.10.3"}, {}) == [
        "the prepared data set was ffffffffffff, is eeeeeeeeeeee",
        "jax was 0.10.2, is 0.10.3",
    ]


def test_another_processor_or_number_of_threads_is_named_where_it_is_known() -> None:
    tags = {f"deeprec.computed_on.{name}": each for name, each in COMPUTED.items()}
    logged = run(tags={**run().tags, **tags})
    assert logged.computed_on == COMPUTED
    now = {"device": "Z80", "threads": "1", "matmul_precision": "highest"}
    assert logged.changes("f" * 64, {}, COMPUTED) == []
    assert logged.changes("f" * 64, {}, now) == [
        "the device was 6502, is Z80",
        "the number of threads was 2, is 1",
        "JAX_DEFAULT_MATMUL_PRECISION was not set, is highest",
    ]
    assert run().computed_on == {}
    assert run().changes("f" * 64, {}, COMPUTED) == []
