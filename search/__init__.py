"""Hyperparameter search and tracking for the two-tower model of :mod:`deeprec`."""
