"""Where a search reads and writes: everything lies under the folder it is started in."""

import os
from dataclasses import dataclass
from pathlib import Path

from search.records.errors import InputError

PACKAGE = Path(__file__).resolve().parents[1]
PROJECT = PACKAGE.parent
"""The folder of the project, or that of the environment which it is installed in."""

STUDIES = PACKAGE / "studies"
"""The studies that come with the project, known by name wherever a search is started."""


@dataclass(frozen=True)
class Workspace:
    """The folder a search works in."""

    folder: Path  # usually the working directory

    @property
    def studies(self) -> Path:
        """Study files, study databases, and a folder of towers a study."""
        return self.folder / "studies"

    @property
    def mlruns(self) -> Path:
        """MLflow's database and artifacts."""
        return self.folder / "mlruns"

    @property
    def study_files(self) -> tuple[Path, ...]:
        """The folders whose ``*.toml`` can be named by ``--study``, the first wins."""
        own, shipped = self.studies, STUDIES.resolve()
        return (own,) if own.resolve() == shipped else (own, shipped)

    def towers(self, study: str) -> Path:
        """Where the towers of a study lie, a folder a trial."""
        return self.studies / study

    def check_writable(self) -> None:
        """InputError, without writing, unless both folders can be written or made."""
        for folder in (self.studies, self.mlruns):
            existing = next(path for path in (folder, *folder.parents) if path.exists())
            if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
                raise InputError(
                    f"{folder} must be a folder that can be written but {existing} is not; "
                    "start the search in a folder of your own"
                )
