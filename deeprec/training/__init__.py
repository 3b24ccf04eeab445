"""Batches, losses, optimizers, and epochs compiled as a whole; validation on the way."""
