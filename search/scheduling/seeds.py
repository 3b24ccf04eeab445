"""One origin for every random draw: a seed for a purpose, derived from the seed of the study.

A study has one seed. Whatever draws at random (the sampler of trial 7, the weights of trial 7,
the order of a grid) asks for a seed of its own and names its purpose. So a draw depends on
nothing that happened before it: a search that was interrupted goes on exactly as it would have.
"""

import hashlib
import json

SEED_BOUND = 2**31  # seeds are below this, which NumPy, Keras and Optuna all accept


def derive_seed(study_seed: int, *purpose: int | str) -> int:
    """The seed in ``[0, 2**31)`` for one purpose, such as ``derive_seed(0, "sampler", 7)``.

    The same arguments give the same seed on every machine and Python version. Different
    arguments (their order and types included) give seeds that are independent for all practical
    purposes: they are bits of SHA-256.
    """
    text = json.dumps([study_seed, *purpose])
    digest = hashlib.sha256(text.encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") % SEED_BOUND
