"""The towers a study saves: which trial's lie where."""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from deeprec.data.verified_files import check_folder, parsed, write_folder
from search.config.sections import SAFE_NAME

if TYPE_CHECKING:
    from deeprec.model.own import OwnTower
    from deeprec.model.retrieval import RetrievalModel
    from deeprec.model.towers import CandidateModel, QueryModel

TOWER_FILES = ("query_model.keras", "candidate_model.keras")


def save_towers(model: "RetrievalModel", folder: Path, name: int | str) -> Path:
    """Saves both towers, and their manifest, into a folder of their own; whole, or not at all.

    The folder's name is the trial's number, or another.
    """
    from deeprec.model.saving import save_model  # here, for looking towers up needs no Keras

    def fill(new: Path) -> None:
        towers = (model.query_model, model.candidate_model)
        for tower, file in zip(towers, TOWER_FILES, strict=True):
            save_model(tower, new / file)

    target = tower_folder(folder, name)
    write_folder(target, fill)
    return target


def find_towers(folder: Path, name: int | str) -> Path | None:
    """The folder of the towers saved under that name, if both are there; nothing is read."""
    target = tower_folder(folder, name)
    return target if all((target / file).is_file() for file in TOWER_FILES) else None


def load_towers(
    folder: Path, *, trusted: Collection[str] = ()
) -> "tuple[QueryModel | OwnTower, CandidateModel | OwnTower]":
    """Reads the towers that :func:`save_towers` wrote: checked by SHA-256 first, then parsed.

    Code that they name is run where its name is among the ``trusted``. DataError unless the folder
    holds both as they were written.
    """
    from deeprec.model.saving import load_tower

    check_folder(folder, TOWER_FILES)
    query_file, candidate_file = TOWER_FILES
    with parsed(folder):
        query = load_tower(folder / query_file, "query", trusted=trusted)
        return query, load_tower(folder / candidate_file, "candidate", trusted=trusted)


def remove_leftovers(folder: Path) -> int:
    """Removes what killed processes left of towers and checkpoints they were saving; how many.

    Only for a process that knows it is alone: another might be saving at this moment.
    """
    left = [path for path in folder.glob(".trial-*") if not path.is_symlink()]
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(left)


def tower_folder(folder: Path, name: int | str) -> Path:
    """Where the towers of a trial are, or would be; ValueError for a name that leads elsewhere."""
    plain = f"trial-{name:04d}" if isinstance(name, int) else name
    if not SAFE_NAME.fullmatch(plain):
        raise ValueError(f"the towers' folder must have a plain name but got {name!r}")
    return folder / plain
