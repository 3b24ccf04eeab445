"""Benchmarks: every figure side by side with what it is compared to, in one run.

``python -m tests.benchmarks`` measures all rows and prints one table.
"""

import deeprec  # noqa: F401  (chooses Keras's backend, before any module here imports Keras)
