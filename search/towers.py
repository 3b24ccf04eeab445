"""The towers a study saves: which trial's lie where."""

import os
import shutil
from pathlib import Path

from deeprec.retrieval import RetrievalModel
from deeprec.saving import save_model

TOWER_FILES = ("query_model.keras", "candidate_model.keras")


def save_towers(model: RetrievalModel, folder: Path, name: int | str) -> Path:
    """Saves both towers into a folder of their own; whole, or not at all.

    Args:
        model: the model whose towers are saved.
        folder: where the study keeps its towers.
        name: the trial's number, or another name for the folder.

    Returns:
        The folder with ``query_model.keras`` and ``candidate_model.keras``.
    """
    target = tower_folder(folder, name)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for tower, file in zip((model.query_model, model.candidate_model), TOWER_FILES, strict=True):
        save_model(tower, partial / file)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return target


def find_towers(folder: Path, name: int | str) -> Path | None:
    """The folder of the towers saved under that name, if both are there."""
    target = tower_folder(folder, name)
    return target if all((target / file).is_file() for file in TOWER_FILES) else None


def tower_folder(folder: Path, name: int | str) -> Path:
    """Where the towers of a trial are, or would be."""
    return folder / (f"trial-{name:04d}" if isinstance(name, int) else name)
