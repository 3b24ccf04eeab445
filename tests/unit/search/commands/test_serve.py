"""What is checked before MLflow is started to serve a model."""

import socket
from pathlib import Path

import pytest

from search.records.errors import InputError
from search.serve import main


def test_a_port_that_is_used_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            InputError, match=rf"port {port} of 127.0.0.1 cannot be used \(Address already in use\)"
        ):
            main(port=port)


def test_without_a_champion_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(InputError, match=r"there is no champion .* -m search\.retrain"):
        main(port=port)
    assert list(tmp_path.iterdir()) == []
