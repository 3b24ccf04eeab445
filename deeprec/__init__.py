"""A deep recommender: two-tower retrieval on MovieLens, usable without the search around it.

Importing the package chooses the Keras backend (JAX, unless the environment already names one)
and registers the models with Keras, so that ``keras.saving.load_model`` can load saved towers.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

from deeprec.model import retrieval, towers

__all__ = ["retrieval", "towers"]
