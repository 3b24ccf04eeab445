"""The two towers and the retrieval model, as Keras models, and their files.

Importing the package registers them with Keras, under names that do not depend on their modules.
"""

from deeprec.model import own, retrieval, saving, towers

__all__ = ["own", "retrieval", "saving", "towers"]
