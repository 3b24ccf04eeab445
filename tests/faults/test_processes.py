"""Processes that are killed, stopped and terminated while they search one study."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.scene import GRACE_SECONDS, JUST_CLAIMED, Command, Scene, outputs
from tests.faults.servers import MlflowServer

pytestmark = [pytest.mark.data, pytest.mark.faults, pytest.mark.storm]

LONG = int(os.environ.get("FAULTS_TIMES", "1"))
"""So many times as many faults; 10 is the long mode."""


@pytest.fixture(params=["sqlite", "postgresql"])
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, small_cache_home: Path
) -> Iterator[Scene]:
    """Searches on either storage, tracked by a real MLflow server."""
    storage = request.getfixturevalue("database") if request.param == "postgresql" else None
    server: MlflowServer = request.getfixturevalue("mlflow_server")
    made = Scene(tmp_path, small_cache_home, storage=storage, tracking_uri=server.uri, seed=1)
    try:
        yield made
    finally:
        made.close()


def aim(scene: Scene) -> int | None:
    """A process at work, hit at a random moment, right after its claim, or while it saves."""
    moment = scene.faults % 3
    if moment == 0:
        scene.pause(0.5)
    if moment == 1 and (claimed := scene.until(lambda: just_claimed(scene), seconds=2)):
        return claimed[0]
    if moment == 2:
        scene.until(lambda: saving(scene), seconds=2)
    workers = scene.workers
    return scene.random.choice(workers) if workers else None


def just_claimed(scene: Scene) -> list[int]:
    """Workers of trials that have given no sign of life yet."""
    named = [str(worker) for _number, worker, _ in scene.rows(JUST_CLAIMED)]
    pids = [int(name.split("/")[1]) for name in named if "/" in name]
    return [pid for pid in pids if pid in scene.workers]


def saving(scene: Scene) -> list[Path]:
    """Folders of towers that are being written."""
    folders = {command.folder for command in scene.commands}
    return [path for folder in folders for path in folder.glob("studies/tiny/.trial-*")]


def kill(pid: int | None, number: signal.Signals = signal.SIGKILL) -> bool:
    """Sends a signal to a process that may have ended by itself."""
    if pid is None:
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def disturb(scene: Scene, faults: int, command: Command) -> None:
    """Kills workers of a command, of which it replaces every one, as long as it is at work."""
    in_a_row = 0
    while scene.faults < faults and command.is_running:
        scene.pause(0.6)
        if kill(aim(scene)):
            scene.faults += 1
            in_a_row += 1
        if in_a_row == 2:  # five deaths without a finished trial end a search, as they should
            scene.until_more_is_told()
            in_a_row = 0
        scene.observe()


def test_killed_workers_are_replaced_and_nothing_is_lost(scene: Scene) -> None:
    trials, faults = 0, 20 * LONG
    while scene.faults < faults:
        trials += 15
        command = scene.start(trials, "--workers", "4")
        scene.until_more_is_told()
        disturb(scene, faults, command)
        scene.wait()
        assert command.process.returncode == 0, command.said
        assert "Traceback" not in command.said
        scene.assert_whole(trials)


def test_killed_searches_leave_their_trials_to_the_others(scene: Scene) -> None:
    """Four searches, as on four machines; each that is killed is started again."""
    trials, faults = 0, 10 * LONG
    folders = [scene.folder, *(machine(scene) for _ in range(3))]
    while scene.faults < faults:
        trials += 20
        for folder in folders:
            scene.start(trials, folder=folder)
        while scene.faults < faults and scene.running:
            scene.until_more_is_told(2)
            victim = aim(scene)
            fallen = [command for command in scene.running if command.process.pid == victim]
            for command in fallen:
                if kill(victim):
                    command.process.wait()
                    scene.faults += 1
                    scene.start(trials, folder=command.folder)
            scene.observe()
        scene.wait()
        assert {command.process.returncode for command in scene.commands} <= {0, -9}
        scene.assert_whole(trials)


def machine(scene: Scene) -> Path:
    """A working directory; on SQLite, which one machine has to itself, the same."""
    return scene.new_folder() if scene.is_remote else scene.folder


def test_whoever_is_stopped_for_too_long_and_wakes_changes_nothing(scene: Scene) -> None:
    trials, faults = 0, 3 * LONG
    while scene.faults < faults:
        trials += 20
        for _ in range(3):
            scene.start(trials, folder=machine(scene))
        scene.until_more_is_told(2)
        while scene.faults < faults and len(scene.running) > 1:
            victim = scene.random.choice(scene.running)
            os.kill(victim.process.pid, signal.SIGSTOP)
            scene.faults += 1
            try:
                scene.until(lambda: False, seconds=2.5 * GRACE_SECONDS)
            finally:
                os.kill(victim.process.pid, signal.SIGCONT)
            scene.until_more_is_told()
        scene.wait()
        assert {command.process.returncode for command in scene.commands} == {0}, outputs(scene)
        scene.assert_whole(trials)


def test_signals_end_a_search_tidily_and_the_same_command_goes_on(scene: Scene) -> None:
    trials, faults = 0, 5 * LONG
    while scene.faults < faults:
        trials += 8
        command = scene.start(trials, *workers(scene))
        while scene.faults < faults and scene.until_more_is_told():
            number = signal.SIGTERM if scene.faults % 2 else signal.SIGINT
            scene.pause(0.5)
            if not kill(command.process.pid, number):
                break
            scene.faults += 1
            code = command.process.wait(60)
            assert code in (128 + number, 0), command.said  # 0: it had all its trials
            command = scene.start(trials, *workers(scene))
        scene.wait()
        assert command.process.returncode == 0, command.said
        scene.assert_whole(trials)
        assert_interrupted_first(scene)


def workers(scene: Scene) -> tuple[str, ...]:
    """Two workers for every second pair of signals; else the search runs its trials itself."""
    return () if scene.faults // 2 % 2 else ("--workers", "2")


def assert_interrupted_first(scene: Scene) -> None:
    """What a signal interrupted runs again before anything new."""
    found = scene.study.get_trials(deepcopy=False)
    interrupted = [trial for trial in found if trial.user_attrs.get("interrupted")]
    for trial in interrupted:
        later = [t for t in found[trial.number + 1 :] if "retry_of" in t.user_attrs]
        assert later, f"trial {trial.number} never ran again"
