"""Training data on the device: made once, used by every training of a search."""

from deeprec.batches import Batches, batched
from deeprec.dataset import TrainingData
from deeprec.device_tables import rows_of
from deeprec.evaluation import EvaluationRows


class DeviceData:
    """The tables, the batches and the validation rows of some training data, on the device.

    Attributes:
        users: features of every user.
        movies: features of every movie; all are candidates.
        validation: the rows to validate on, if any.

    Args:
        data: the same in main memory.
    """

    def __init__(self, data: TrainingData) -> None:
        self.users = rows_of(data.users)
        self.movies = rows_of(data.movies)
        self.validation = (
            None
            if data.validation is None
            else EvaluationRows.of(data.validation, data.users, data.movies)
        )
        self._data = data
        self._batches: tuple[int, Batches] | None = None

    def batches(self, batch_size: int) -> Batches:
        """The training rows in batches of that size; those of the last size asked for are kept."""
        if self._batches is None or self._batches[0] != batch_size:
            self._batches = None  # frees the old ones before the new ones are made
            data = self._data
            self._batches = (batch_size, batched(data.train, batch_size, data.users, data.movies))
        return self._batches[1]
