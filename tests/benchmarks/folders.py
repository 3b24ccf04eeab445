"""Folders in which real commands run, with a cache of their own: cold, or warmed on purpose."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import optuna

from deeprec.data.dataset import default_cache_dir
from search.config.addresses import PROJECT
from tests.benchmarks.data import tutorial_dataset
from tests.benchmarks.harness import MeasurementError, last_line


@dataclass(frozen=True)
class Folder:
    """A working folder and the user cache that commands started in it see."""

    path: Path
    cache: Path  # ``XDG_CACHE_HOME``: prepared data, and the programs that commands compiled

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(PROJECT),
            "XDG_CACHE_HOME": str(self.cache),
            "TF_CPP_MIN_LOG_LEVEL": "3",
        }

    def start(self, module: str, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
        """Starts ``python -m MODULE``, its output kept back."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self.path,
            env=self.environment | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def seconds(self, module: str, *arguments: str) -> float:
        """What ``python -m MODULE`` takes from start to exit.

        Raises:
            MeasurementError: it failed.
        """
        started = time.perf_counter()
        finish(self.start(module, *arguments))
        return time.perf_counter() - started

    def write_study(self, name: str, text: str) -> None:
        """Writes a study file where ``search.run`` started here finds it by name."""
        studies = self.path / "studies"
        studies.mkdir(exist_ok=True)
        (studies / f"{name}.toml").write_text(text, encoding="utf-8")

    def study(self, name: str) -> optuna.Study:
        url = f"sqlite:///{self.path / 'studies' / name}.db"
        return optuna.load_study(storage=url, study_name=name)

    def beside(self) -> "Folder":
        """An empty working folder that shares this cache."""
        return Folder(Path(tempfile.mkdtemp(dir=self.path.parent)), self.cache)


def finish(process: "subprocess.Popen[str]") -> str:
    """Waits for the command; returns what it printed.

    Raises:
        MeasurementError: it failed.
    """
    output, _ = process.communicate()
    if process.returncode != 0:
        words = process.args[1:4] if isinstance(process.args, Sequence) else [process.args]
        command = " ".join(map(str, words))
        raise MeasurementError(f"{command} ended with {process.returncode}: {last_line(output)}")
    return output


@contextmanager
def fresh_folder() -> Iterator[Folder]:
    """An empty working folder, and a cache with the prepared data alone; both go afterwards."""
    tutorial_dataset()  # prepared now if it is not yet
    with tempfile.TemporaryDirectory(prefix="deeprec-benchmark-") as name:
        root = Path(name)
        cache = root / "cache" / "deeprec"
        cache.mkdir(parents=True, mode=0o700)
        shutil.copytree(default_cache_dir() / "prepared", cache / "prepared")
        (root / "work").mkdir()
        yield Folder(root / "work", root / "cache")
