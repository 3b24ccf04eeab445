"""Files of trials at an address that all machines reach."""

from pathlib import Path

import pytest

from deeprec.data.verified_files import check_folder, write_folder
from deeprec.errors import DataError
from search.records.errors import InputError
from search.storage.shared import Shared, check_shared
from search.storage.towers import TOWER_FILES, tower_folder
from tests.unit.search.sample_records import trial


@pytest.fixture
def shared(tmp_path: Path) -> Shared:
    return Shared(f"file://{tmp_path}/shared", "0123")


def saved(folder: Path, number: int = 0) -> Path:
    towers = tower_folder(folder, number)

    def fill(place: Path) -> None:
        for name in TOWER_FILES:
            (place / name).write_text(f"{name} of {number}")

    write_folder(towers, fill)
    return towers


def test_towers_that_one_machine_keeps_another_brings_home(shared: Shared, tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    towers = saved(there)
    shared.keep(towers)
    warnings: list[str] = []
    shared.bring_home(here, [trial(0), trial(1)], warnings.append)
    check_folder(tower_folder(here, 0), TOWER_FILES)
    for name in TOWER_FILES:
        assert (tower_folder(here, 0) / name).read_bytes() == (towers / name).read_bytes()
    assert not tower_folder(here, 1).exists()
    assert not warnings


def test_what_is_kept_again_is_replaced_and_nothing_half_written_stays(
    shared: Shared, tmp_path: Path
) -> None:
    path = tmp_path / "trial-0000.checkpoint"
    for content in (b"first", b"second"):
        path.write_bytes(content)
        shared.keep(path)
    assert shared.names() == {path.name}
    path.unlink()
    shared.fetch(path)
    assert path.read_bytes() == b"second"
    shared.remove(path.name)
    shared.remove(path.name)
    shared.fetch(tmp_path / "trial-0001.checkpoint")
    assert shared.names() == set()


def test_what_differs_from_its_digest_is_not_brought(shared: Shared, tmp_path: Path) -> None:
    towers = saved(tmp_path / "there")
    shared.keep(towers)
    [stored] = (tmp_path / "shared" / "0123").iterdir()
    damaged = bytearray(stored.read_bytes())
    damaged[-1] ^= 1
    stored.write_bytes(damaged)
    with pytest.raises(DataError, match="differs from its SHA-256"):
        shared.fetch(tower_folder(tmp_path / "here", 0))
    warnings: list[str] = []
    shared.bring_home(tmp_path / "here", [trial(0)], warnings.append)
    assert "the towers of trial 0 are not brought here" in warnings[0]
    assert not tower_folder(tmp_path / "here", 0).exists()


@pytest.mark.parametrize("address", ["/tmp/x", "file://x", "s3://", "ftp://host/x", ""])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="--shared must be file:///FOLDER, s3://BUCKET/FOLDER or"):
        check_shared(Shared(address, "0123"))
