"""Trials as they run: one trial, the loop, workers and their supervisor, signals, the machine."""
