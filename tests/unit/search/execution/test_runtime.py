"""The process of a command: Keras without what it merely could use, JAX with its cache or not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.execution.runtime import set_aside, touch_device
from search.records.errors import InputError

SCRIPT = """
import sys
from search.execution.runtime import NEEDLESS, prepare_runtime

prepare_runtime()
import keras

assert keras.backend.backend() == "jax"
assert not set(NEEDLESS) & set(sys.modules), set(NEEDLESS) & set(sys.modules)
import matplotlib, pandas  # both are there for whoever needs them

assert pandas.DataFrame({"a": [1]}).a.sum() == 1
print("fine")
"""


def test_keras_comes_alone_and_everything_else_stays_importable() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("fine\n", 0), done.stderr


WITHOUT_CACHE = """
import sys
from pathlib import Path
from search.execution.runtime import prepare_runtime

prepare_runtime(compilation_cache=sys.argv[2] == "on")
from deeprec.training.compilation import use_compilation_cache
import jax

use_compilation_cache(Path(sys.argv[1]))
jax.jit(lambda x: x + 1)(1.0)
"""


FOREIGN = """
import os, sys
from search.execution.runtime import prepare_runtime, touch_device

prepare_runtime(announce=print)
import jax, keras

print(keras.backend.backend(), keras.config.floatx(), keras.config.epsilon())
print(jax.config.jax_enable_x64, jax.config.jax_disable_jit, jax.numpy.ones(1).dtype)
touch_device()
"""


def in_an_environment(script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **variables}
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )


def test_settings_of_another_project_decide_nothing(tmp_path: Path) -> None:
    settings = {"floatx": "float16", "epsilon": 1e-3, "backend": "torch", "nnx_enabled": True}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    foreign = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "torch", "JAX_ENABLE_X64": "1"}
    done = in_an_environment(FOREIGN, **foreign, JAX_DISABLE_JIT="1")
    assert done.returncode == 0, done.stderr
    said, of_keras, of_jax = done.stdout.splitlines()
    assert said.endswith(": JAX_DISABLE_JIT=1, JAX_ENABLE_X64=1, KERAS_BACKEND=torch")
    assert of_keras == "jax float32 1e-07"
    assert of_jax == "False False float32"


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
def test_a_device_that_is_not_there_is_one_line(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def devices() -> None:
        # As JAX does: with no word where the platform is known but no such device is there.
        raise AssertionError if platform == "cuda" else RuntimeError("no such platform\nreally")

    monkeypatch.setattr("jax.devices", devices)
    monkeypatch.setenv("JAX_PLATFORMS", platform)
    with pytest.raises(InputError, match=f"JAX_PLATFORMS is '{platform}' .*set it to cpu") as error:
        touch_device()
    assert "\n" not in str(error.value)


def test_libraries_that_cannot_be_loaded_are_one_line() -> None:
    script = "from search.commands.cli import run_command\n"
    script += "from search.execution.runtime import prepare_runtime\n"
    script += "def main() -> int:\n    prepare_runtime()\n    return 0\nrun_command(main)"
    done = in_an_environment(script, JAX_DEFAULT_MATMUL_PRECISION="nonsense")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: Keras and JAX cannot be loaded: ")


@pytest.mark.parametrize(("switch", "is_kept"), [("on", True), ("off", False)])
def test_compiled_programs_are_kept_unless_that_is_switched_off(
    tmp_path: Path, switch: str, is_kept: bool
) -> None:
    folder = tmp_path / "compiled"
    subprocess.run([sys.executable, "-c", WITHOUT_CACHE, str(folder), switch], check=True)
    assert folder.exists() == is_kept
    if is_kept:
        assert list(folder.iterdir())
        assert folder.stat().st_mode & 0o777 == 0o700
