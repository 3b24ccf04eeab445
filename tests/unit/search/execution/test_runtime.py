"""The process and the machine that compute, whatever the environment says."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from search.execution import runtime
from search.execution.runtime import (
    PREALLOCATE,
    THREADS,
    available_memory,
    computed_on,
    cores_each,
    git_commit,
    library_versions,
    out_of_memory_kills,
    set_aside,
    threads,
    touch_device,
    worker_environment,
)
from search.records.errors import InputError

COMPUTE = """
import os, sys
from pathlib import Path
from search.execution.runtime import NEEDLESS, prepare_runtime, touch_device

prepare_runtime(compilation_cache=sys.argv[2] == "on", announce=print)
import jax, keras
from deeprec.training.programs import use_compilation_cache

print(keras.backend.backend(), keras.config.floatx(), keras.config.epsilon())
print(jax.config.jax_enable_x64, jax.config.jax_disable_jit, jax.numpy.ones(1).dtype)
assert not set(NEEDLESS) & set(sys.modules), set(NEEDLESS) & set(sys.modules)
import matplotlib, pandas  # both are there for what needs them

assert pandas.DataFrame({"a": [1]}).a.sum() == 1
touch_device()
use_compilation_cache(Path(sys.argv[1]))
jax.numpy.ones((300, 300)).dot(jax.numpy.ones((300, 300))).block_until_ready()
names = [open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task")]
print(sum(name.startswith("tf_XLAEigen") for name in names))
"""


def run(script: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", script, *arguments]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", **variables}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


@pytest.mark.parametrize(("switch", "cores"), [("on", 3), ("off", 1)])
def test_settings_of_other_projects_decide_nothing(tmp_path: Path, switch: str, cores: int) -> None:
    settings = {"floatx": "float16", "epsilon": 1e-3, "backend": "torch", "nnx_enabled": True}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    compiled = tmp_path / "compiled"
    foreign = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "torch", "JAX_ENABLE_X64": "1"}
    foreign |= {"JAX_DISABLE_JIT": "1", "NPROC": str(cores)}
    done = run(COMPUTE, str(compiled), switch, **foreign)
    assert done.returncode == 0, done.stderr
    said, *computed = done.stdout.splitlines()
    assert said.endswith(": JAX_DISABLE_JIT=1, JAX_ENABLE_X64=1, KERAS_BACKEND=torch")
    assert computed == ["jax float32 1e-07", "False False float32", str(cores)]
    assert compiled.exists() == (switch == "on")
    if compiled.exists():
        assert list(compiled.iterdir())
        assert compiled.stat().st_mode & 0o777 == 0o700


def test_libraries_that_cannot_be_loaded_are_one_line() -> None:
    script = "from search.commands.cli import run_command\n"
    script += "from search.execution.runtime import prepare_runtime\n"
    script += "run_command(lambda: prepare_runtime())"
    done = run(script, JAX_DEFAULT_MATMUL_PRECISION="nonsense")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: Keras and JAX cannot be loaded: ")


def test_what_chooses_the_device_and_the_precision_stays() -> None:
    chosen = {
        "JAX_PLATFORMS": "cuda,cpu",
        "JAX_DEFAULT_MATMUL_PRECISION": "highest",
        "JAX_ENABLE_COMPILATION_CACHE": "false",
        "XLA_FLAGS": "--xla_gpu_deterministic_ops=true",
        "KERAS_BACKEND": "jax",
    }
    environment = dict(chosen)
    assert set_aside(environment) == []
    assert environment.items() >= chosen.items()
    assert set_aside(environment) == []  # a worker has nothing more to say


@pytest.mark.parametrize("platform", ["cuda", "nonsense"])
def test_a_device_that_is_none_is_one_line(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def devices() -> None:
        # As JAX does: with no word where the platform is known but no such device is there.
        raise AssertionError if platform == "cuda" else RuntimeError("no such platform\nreally")

    monkeypatch.setattr("jax.devices", devices)
    monkeypatch.setenv("JAX_PLATFORMS", platform)
    with pytest.raises(InputError, match=f"JAX_PLATFORMS is '{platform}' .*set it to cpu") as error:
        touch_device()
    assert "\n" not in str(error.value)


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "available_cores", lambda: 8)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("workers", "each"), [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)])
def test_cores_are_divided_and_every_worker_has_one(workers: int, each: int) -> None:
    assert cores_each(workers) == each
    environment = worker_environment(workers, {})
    assert environment == {**dict.fromkeys(THREADS, str(each)), PREALLOCATE: "false"}
    own = {"NPROC": "16", PREALLOCATE: "true", "HOME": "/home/me"}
    assert worker_environment(workers, own) == {**environment, **own}


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("given", "count"), [("3", 3), ("", 8), ("0", 8), ("many", 8)])
def test_threads_are_as_given(monkeypatch: pytest.MonkeyPatch, given: str, count: int) -> None:
    monkeypatch.setenv("NPROC", given)
    assert threads() == count


def test_the_kernels_kills_for_want_of_memory_are_counted_if_it_does(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    assert out_of_memory_kills(own, tmp_path) == 0
    for text in ("4:memory:/old\n", "0::/\n"):
        own.write_text(text)
        assert out_of_memory_kills(own, tmp_path) == 0
    own.write_text("0::/user.slice/search\n")
    group = tmp_path / "user.slice" / "search"
    group.mkdir(parents=True)
    (group / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\n")
    assert out_of_memory_kills(own, tmp_path) == 2


def test_the_available_memory_is_that_of_the_machine_or_of_a_smaller_group(tmp_path: Path) -> None:
    meminfo, own = tmp_path / "meminfo", tmp_path / "cgroup"
    meminfo.write_text("MemTotal:  8000 kB\nMemAvailable:  3000 kB\n")
    assert available_memory(meminfo, own, tmp_path) == 3000 * 1024
    own.write_text("0::/search\n")
    group = tmp_path / "search"
    group.mkdir()
    (group / "memory.current").write_text("1000000\n")
    for limit, expected in (("max", 3_072_000), ("1500000", 500_000), ("9000000", 3_072_000)):
        (group / "memory.max").write_text(f"{limit}\n")
        assert available_memory(meminfo, own, tmp_path) == expected
    assert available_memory(tmp_path / "none", own, tmp_path) > 0


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "model.py"
        self.git("init", "--quiet")
        self.file.write_text("depth = 1\n")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "first")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        command = ["git", *identity, "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of the project's, and no repository above it."""
    monkeypatch.setattr(runtime, "PROJECT", tmp_path)
    monkeypatch.setattr(runtime, "THIS", tmp_path / "model.py")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def test_the_commit_is_dirty_where_files_differ(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git_commit() is None, "there is no repository yet"
    subprocess.run(["git", "init", "--quiet", str(project)], check=True)
    assert git_commit() is None, "there is no commit yet"
    repository = Repository(project)
    commit = repository.git("rev-parse", "HEAD")
    (project / "notes.txt").write_text("not part of the commit")
    assert git_commit() == commit
    repository.file.write_text("depth = 2\n")
    assert git_commit() == f"{commit}-dirty"
    monkeypatch.setenv("PATH", str(project))
    assert git_commit() is None, "there is no git"


def test_a_repository_around_the_environment_is_another_projects(project: Path) -> None:
    repository = Repository(project)
    repository.git("rm", "--quiet", "--cached", "model.py")
    repository.git("commit", "--quiet", "--message", "it lies there, but is not tracked")
    assert git_commit() is None


def test_changes_beside_it_are_not_dirty(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = project / "vendored"
    part.mkdir()
    (part / "model.py").write_text("depth = 1\n")
    repository = Repository(project)  # commits both
    monkeypatch.setattr(runtime, "PROJECT", part)
    monkeypatch.setattr(runtime, "THIS", part / "model.py")
    repository.file.write_text("depth = 2\n")
    assert git_commit() == repository.git("rev-parse", "HEAD")


def test_a_hook_of_another_repository_does_not_mislead(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Repository(project).git("rev-parse", "HEAD")
    other = tmp_path_factory.mktemp("other")
    Repository(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert git_commit() == commit


def test_versions_are_those_of_installed_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"optuna", "mlflow", "keras", "jax", "numpy"} <= library_versions().keys()
    monkeypatch.setattr(runtime, "LIBRARIES", ("numpy", "no-such-library"))
    assert library_versions() == {"numpy": version("numpy")}


def test_what_decides_rounding_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nmodel name : Some CPU @ 2 GHz\nmodel name : other\n")
    monkeypatch.setattr(runtime, "CPUINFO", cpuinfo)
    monkeypatch.setenv("NPROC", "3")
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setenv("JAX_DEFAULT_MATMUL_PRECISION", "highest")
    expected = {"device": "Some CPU @ 2 GHz", "threads": "3", "matmul_precision": "highest"}
    assert computed_on() == expected
    monkeypatch.setattr(runtime, "CPUINFO", tmp_path / "missing")
    assert computed_on()["device"] == platform.machine()
