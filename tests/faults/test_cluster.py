"""Searches whose workers Ray places, on nodes that are killed."""

import os
from pathlib import Path

import pytest

from tests.faults.nodes import Nodes
from tests.faults.scene import Scene

pytestmark = [pytest.mark.data, pytest.mark.faults, pytest.mark.storm]

TRIALS, KILLS = 100, 10 * int(os.environ.get("FAULTS_TIMES", "1"))
"""A kill takes ten seconds, as a node and its workers start anew; 20 with FAULTS_TIMES=2."""


@pytest.mark.parametrize("scene", ["postgresql"], indirect=True)
def test_nodes_that_are_killed_lose_no_trial_and_no_towers(scene: Scene, tmp_path: Path) -> None:
    trials, shared = 0, f"file://{tmp_path}/shared"
    with Nodes(scene.folder.environment) as cluster:
        for _ in range(2):
            cluster.add()
        while scene.faults < KILLS:
            trials += TRIALS
            flags = ("--cluster", cluster.address, "--shared", shared, "--workers", "3")
            search = scene.start(trials, *flags, FAKE_EPOCH_SECONDS="0.05")
            while scene.faults < KILLS and scene.until_more_have_finished(3):
                if not search.is_running:
                    break
                cluster.kill(scene.random.randrange(len(cluster.nodes)))
                scene.faults += 1
                cluster.add()
            scene.wait()
            found = scene.assert_whole(trials)
    assert any(trial.state == "interrupted" for trial in found), "no trial was on a killed node"
    left = [path for path in Path(tmp_path, "shared").rglob("*") if path.suffix]
    assert not left, f"checkpoints that none goes on from: {left}"
