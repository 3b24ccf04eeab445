"""The process of a command: Keras without what it merely could use, JAX with its cache or not."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
from search.runtime import NEEDLESS, prepare_runtime

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
from search.runtime import prepare_runtime

prepare_runtime(compilation_cache=sys.argv[2] == "on")
from deeprec.compilation import use_compilation_cache
import jax

use_compilation_cache(Path(sys.argv[1]))
jax.jit(lambda x: x + 1)(1.0)
"""


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
