"""Commands import Keras without the packages that it merely could use."""

import subprocess
import sys

SCRIPT = """
import sys
from search.lean_keras import NEEDLESS, import_keras

import_keras()
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
