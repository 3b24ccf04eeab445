"""A deep recommender: two-tower retrieval on MovieLens, usable without the search around it.

Importing the package chooses the Keras backend (JAX, unless the environment already names one) and
imports nothing slow. ``import deeprec.model`` registers the towers and the model with Keras, so
that ``keras.saving.load_model`` can load what was saved.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
