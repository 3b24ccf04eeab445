"""TensorFlow and TFDS, imported when data is prepared and only then, without their noise.

Nothing else in the package imports them, so a search on prepared data never pays for them.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _stderr_kept_back() -> Iterator[None]:
    """Keeps back what is written to standard error, unless the block fails.

    TensorFlow's native libraries write there whatever the logging settings, so the file descriptor
    itself is redirected.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(original, kept.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)


def import_tensorflow() -> Any:
    """The ``tensorflow`` module: logging errors only, and blind to GPUs, which are JAX's."""
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_kept_back():
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")
    tf.get_logger().setLevel("ERROR")
    return tf


def import_tfds() -> Any:
    """The ``tensorflow_datasets`` module, without progress bars. Does not import TensorFlow."""
    import tensorflow_datasets as tfds
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    tfds.disable_progress_bar()
    return tfds
