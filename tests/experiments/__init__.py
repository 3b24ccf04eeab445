"""Experiments behind choices of the project; ``python -m tests.experiments NAME`` runs one."""
