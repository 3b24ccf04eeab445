"""A process dies at each moment at which that matters: the next search finishes the rest."""

import signal

import pytest

from search.records.trials import TrialRecord
from search.storage.files import checkpoint_file, read_checkpoint
from tests.faults.fake import DIES, EPOCH_SECONDS, POINTS, Point
from tests.faults.scene import Scene

pytestmark = [pytest.mark.data, pytest.mark.faults, pytest.mark.storm]


def assert_ran_again(trials: list[TrialRecord], number: int, point: Point) -> int:
    """The configuration that was killed ran again, with its seed; as which trial."""
    killed = trials[number]
    if point == "after its end":
        assert killed.is_finished
        assert len(trials) == 3
        return number
    assert killed.state == "interrupted"
    [again] = [trial for trial in trials if trial.retry_of == number]
    assert again.parameters == killed.parameters
    assert killed.derived.get("seed", again.derived["seed"]) == again.derived["seed"]
    assert len(trials) == 4
    return again.number


@pytest.mark.parametrize("point", POINTS)
def test_what_a_search_leaves_is_finished_by_the_next(scene: Scene, point: Point) -> None:
    number = 0 if point == "saving" else 1  # the first trial is sure to save towers
    killed = scene.start(3, **{DIES: f"{number} {point}", EPOCH_SECONDS: "0"})
    assert killed.process.wait() == -signal.SIGKILL, killed.process.said
    if point == "checkpoint":  # the one before is whole
        saved = read_checkpoint(checkpoint_file(scene.towers_folder, number), {})
        assert saved is not None
        assert [each.epoch for each in saved.curve] == [1]
        assert len(list(scene.towers_folder.glob(".*"))) == 1
    before = scene.observe()
    assert before == number + (point == "after its end")
    next_one = scene.start(3)
    assert next_one.process.wait() == 0, next_one.process.said
    scene.observe()
    again = assert_ran_again(scene.assert_whole(3), number, point)
    assert not list(scene.towers_folder.glob("*.checkpoint"))
    if not scene.is_remote:
        assert not list(scene.towers_folder.glob(".*"))
    if not scene.is_remote and again != number:  # alone, it need not wait to know that
        assert again == number + 1, "something new ran before"
        said = f"a killed process left trial {number} unfinished; it runs again first"
        assert said in next_one.process.said


@pytest.mark.parametrize("point", ["asked", "saving"])
def test_what_a_worker_leaves_is_finished_by_another(scene: Scene, point: Point) -> None:
    number = 0 if point == "saving" else 1
    search = scene.start(3, "--workers", "2", **{DIES: f"{number} {point}", EPOCH_SECONDS: "0"})
    scene.wait()
    assert "a worker died (signal SIGKILL)" in search.process.said
    assert_ran_again(scene.assert_whole(3), number, point)
