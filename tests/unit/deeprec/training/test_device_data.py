"""Training data goes to the device once."""

from deeprec.data.dataset import TrainingData
from deeprec.training.device_data import DeviceData


def test_the_batches_of_one_size_are_made_once(training_data: TrainingData) -> None:
    data = DeviceData(training_data)
    fifty = data.batches("rating", 50)
    assert data.batches("rating", 50) is fifty
    assert data.batches("rating", 20).ratings.shape == (12, 20)
    assert data.batches("rating", 50).ratings.shape == (5, 50)


def test_without_validation_rows_there_are_none(training_data: TrainingData) -> None:
    alone = TrainingData(
        users=training_data.users,
        movies=training_data.movies,
        train=training_data.train,
        validation=None,
    )
    assert DeviceData(alone).validation is None
    assert DeviceData(training_data).validation is not None
