"""An exported model answers by the runtime it is for, where nothing of this project is."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from deeprec.config import Format
from deeprec.data.tables import Feature, FeatureSchema, FeatureTable
from deeprec.export import export
from deeprec.exported import Exported
from deeprec.model.towers import CandidateModel, QueryModel
from deeprec.recommender import Recommender, embedded
from search.export import main
from tests.faults.in_process import refused
from tests.flows.serving import environment
from tests.tiny_recommender import MOVIES, TITLES, USER_IDS, USERS, tiny_recommender

ELSEWHERE = """
import json, sys

sys.modules.update(dict.fromkeys(("search", "deeprec", "keras", "jax")))  # none is there
sys.path.insert(0, sys.argv[1])
import numpy as np
from pathlib import Path
from recommend import Exported

exported = Exported(Path(sys.argv[1]))
given = np.load(sys.argv[2])
answers = {user: exported.recommend(user, 6) for user in exported.rows}
embedded = exported.tower("candidate")(given).tolist() if exported.query else None
print(json.dumps({"answers": answers, "candidates": embedded}))
"""


def answered(folder: Path, rows: Path, cwd: Path) -> Any:
    """What the folder answers in a process that can import nothing of ours."""
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(folder), str(rows)],
        cwd=cwd,
        env={"PATH": environment()["PATH"], "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


def odd_recommender() -> Recommender:
    """Users have a feature whose name is none in a graph; the fifth movie has the first's title.

    Behind the embeddings that are trained others are in closed form.
    """
    made = tiny_recommender()
    liked = Feature(name="what is liked?", kind="tags", vocabulary_size=4, length=2)
    tags = np.array([[0, 0], [1, 0], [1, 2], [0, 0], [3, 1], [3, 0]], np.int32)
    users = FeatureTable(
        FeatureSchema((*USERS.schema.features, liked)), {**USERS.columns, liked.name: tags}
    )
    query = QueryModel(users.schema, (4, 2), 4, spectral_dimension=3, seed=1)
    candidate = CandidateModel(MOVIES.schema, (2,), 4, spectral_dimension=3, seed=2)
    for tower in (query, candidate):
        [table] = tower.non_trainable_variables
        table.assign(np.random.default_rng(table.shape[0]).normal(size=table.shape))
    return replace(
        made,
        audience=replace(made.audience, table=users),
        query_model=query,
        candidate_model=candidate,
        candidates=embedded(candidate, MOVIES),
        titles=(*TITLES[:5], TITLES[1], *TITLES[6:]),
    )


@pytest.mark.parametrize(
    "to",
    [pytest.param(to, marks=[] if to == "numpy" else pytest.mark.storm) for to in get_args(Format)],
)
def test_what_is_exported_recommends_as_keras_does_without_this_project(
    to: Format, tmp_path: Path
) -> None:
    recommender, rows = odd_recommender(), tmp_path / "rows.npz"
    np.savez(rows, allow_pickle=False, **MOVIES.columns)
    export(recommender, to, tmp_path / "made")
    found = answered(tmp_path / "made", rows, tmp_path)
    assert found["answers"].keys() == {str(user) for user in USER_IDS[1:]}
    for user, got in found["answers"].items():
        wanted = recommender.recommend(int(user), 6)
        assert [[str(each.movie_id), each.title] for each in wanted] == [each[:2] for each in got]
        scores = [each.score for each in wanted]
        np.testing.assert_allclose([score for *_, score in got], scores, rtol=1e-5, atol=1e-8)
    if to != "numpy":
        keras = np.asarray(recommender.candidate_model(MOVIES.columns))
        np.testing.assert_allclose(found["candidates"], keras, rtol=1e-5, atol=1e-8)
    assert {path.name for path in tmp_path.iterdir()} == {"made", "rows.npz"}


def test_what_is_bought_again_is_recommended_again(tmp_path: Path) -> None:
    recommender = replace(tiny_recommender(), repeats=True)
    export(recommender, "numpy", tmp_path / "made")
    answers = Exported(tmp_path / "made").recommend("1", 6)
    assert [int(each[0]) for each in answers] == [
        each.movie_id for each in recommender.recommend(1, 6)
    ]
    assert len(answers) == 6


def test_the_command_exports_a_folder_and_what_it_says_of_it_works(tmp_path: Path) -> None:
    tiny_recommender().save(tmp_path / "confirmed")
    done = run(
        tmp_path, "-m", "search.export", "--to", "numpy", "--out", "made", "--model", "confirmed"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "made/README.md" in done.stdout
    [snippet] = re.findall(r"```python\n(.*?)```", (tmp_path / "made/README.md").read_text(), re.S)
    shown = run(tmp_path / "made", "-c", snippet)
    assert (shown.returncode, shown.stderr) == (0, "")
    titles = [movie.title for movie in tiny_recommender().recommend(1, 5)]
    assert [line.split("  ")[1] for line in shown.stdout.splitlines()] == titles


def test_nothing_is_exported_over_a_folder_or_without_the_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(main, tmp_path, "--to", "numpy", "--out", ".", message="--out must be a new folder")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    asked = ("--to", "onnx", "--out", "made")
    refused(main, tmp_path, *asked, message="--to onnx needs the package tf2onnx")
    refused(main, tmp_path, *asked, message="'.[onnx]'")
