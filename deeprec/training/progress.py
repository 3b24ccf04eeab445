"""How far a training is: all that it carries from one epoch to the next, as arrays and back."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import jax
import numpy as np
import numpy.typing as npt

from deeprec.training.epoch import TrainingState
from deeprec.training.forward import Weights

Arrays = Sequence[npt.NDArray[Any]]


class Progress(NamedTuple):
    """All that a training carries into its next epoch.

    A training that goes on from it, with the same model, data and configuration, ends as one that
    was never interrupted, bit by bit: every random draw follows from the seed and ``state.steps``.
    """

    state: TrainingState
    best_weights: Weights  # of the best epoch; the first ones before a validation
    epoch: int = 0  # the last one that was trained
    best_epoch: int = 0  # 0 before the first validation
    best_value: float = -math.inf  # the objective at the best epoch
    no_better: int = 0  # validations in a row
    first_loss: float = math.inf  # train_loss of the first epoch

    @classmethod
    def start(cls, state: TrainingState) -> Self:
        """Before the first epoch."""
        return cls(state, state.weights)

    def after(self, state: TrainingState, loss: float, value: float | None) -> Self:
        """With one more epoch: its mean loss, and the objective where it was validated."""
        epoch = self.epoch + 1
        first_loss = loss if epoch == 1 else self.first_loss
        after = self._replace(state=state, epoch=epoch, first_loss=first_loss)
        if value is None:
            return after
        if value > self.best_value:
            return after._replace(
                best_weights=state.results, best_epoch=epoch, best_value=value, no_better=0
            )
        return after._replace(no_better=self.no_better + 1)

    @property
    def results(self) -> Weights:
        """The weights that count: those of the best epoch, the present ones where none was."""
        return self.best_weights if self.best_epoch else self.state.results

    @property
    def size(self) -> int:
        """Bytes of its arrays, about."""
        return sum(4 * np.size(leaf) for leaf in jax.tree.leaves(self))

    def arrays(self) -> Arrays:
        """Its content in a fixed order, on the host."""
        return [np.asarray(leaf) for leaf in jax.tree.leaves(self)]

    def restored(self, arrays: Arrays) -> Self:
        """What gave these arrays, on the device; of a training like the one that this is of.

        Raises:
            ValueError: numbers, shapes or types of the arrays differ from its own.
        """
        expected, given = ([(a.shape, a.dtype) for a in each] for each in (self.arrays(), arrays))
        if given != expected:
            raise ValueError("its weights have other shapes")
        leaves, structure = jax.tree.flatten(self)
        restored: Self = jax.tree.unflatten(
            structure,
            [
                array.item() if isinstance(leaf, int | float) else jax.device_put(array)
                for leaf, array in zip(leaves, arrays, strict=True)
            ],
        )
        return restored


class Checkpoints:
    """Keeps how far a training is, so that it can go on after an interruption; this one nothing."""

    def resumed(self, start: Progress) -> Progress:
        """Where the training begins: at its start, or where an interrupted one was."""
        return start

    def keep(self, progress: Progress) -> None:
        """Is given the progress after every epoch, before ``on_epoch`` is called."""


NO_CHECKPOINTS = Checkpoints()
