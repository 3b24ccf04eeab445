"""The champion in use: recommended from on the command line, and served over HTTP."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deeprec.recommender import Recommender
from search.analysis.verdict import Confirmed
from search.recommend import main
from search.records.results import RetrainRecord
from search.tracking.tracker import open_tracker
from tests.commands import Folder
from tests.faults.in_process import refused
from tests.flows.serving import Served, environment, serving
from tests.tiny_recommender import FINGERPRINT, tiny_recommender
from tests.unit.search.tracking.support import CONTEXT, EVIDENCE

WRITER: dict[str, Any] = {"age": 30, "gender": "F", "occupation": "writer"}
RETRAINED = RetrainRecord(
    trial=3, parameters={}, epochs=5, seed=1, metrics={"test_loss": 0.1}, started_ms=1, ended_ms=2
)
NOT_PICKLED = {"", ".json", ".keras", ".npz", ".py", ".txt", ".yaml", ".toml", ".db", ".lock"}


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    return tiny_recommender()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, recommender: Recommender) -> Path:
    """A folder with a champion in its MLflow, and nothing else."""
    folder = tmp_path_factory.mktemp("workspace")
    made = tmp_path_factory.mktemp("made") / "recommender"
    recommender.save(made)
    warned: list[str] = []
    tracker = open_tracker(None, CONTEXT, folder=folder / "mlruns", warn=warned.append)
    run_id = tracker.log_retrain(RETRAINED, None)
    assert run_id is not None
    worth = Confirmed(
        mean=0.3, deviation=0.01, seeds=3, data_fingerprint=FINGERPRINT, split="random"
    )
    published = tracker.publish(run_id, made, worth, EVIDENCE)
    assert published is not None, warned
    assert published.decision.promote
    return folder


# --- python -m search.recommend ---------------------------------------------------------------


def recommend(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return Folder(folder, None).run("search.recommend", *arguments, **environment())


def test_a_known_user_is_shown_what_to_watch_and_what_was_liked(
    workspace: Path, recommender: Recommender
) -> None:
    done = recommend(workspace, "1", "--k", "3")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    titles = [movie.title for movie in recommender.recommend(1, 3)]
    titles += [movie.title for movie in recommender.liked_by(1)]
    lines = done.stdout.splitlines()
    found = [title for line in lines for title in titles if title in line]
    assert found == titles  # in this order
    assert "liked by user 1" in done.stdout


def test_a_user_nobody_knows_is_shown_what_to_watch(
    workspace: Path, recommender: Recommender
) -> None:
    arguments = ("--age", "30", "--gender", "F", "--occupation", "writer", "--k", "2")
    done = recommend(workspace, *arguments, "--model", "models:/deep-retrieval/1")
    assert done.returncode == 0, done.stderr
    for movie in recommender.recommend(None, 2, **WRITER):
        assert movie.title in done.stdout
    assert "liked" not in done.stdout


def test_an_unknown_id_with_features_is_said_to_be_unknown(workspace: Path) -> None:
    arguments = ("77", "--age", "30", "--gender", "F", "--occupation", "writer", "--k", "1")
    done = recommend(workspace, *arguments)
    assert done.returncode == 0, done.stderr
    assert (
        "user 77 is not known to this model: recommended by age, gender, occupation" in done.stdout
    )


BAD_INPUT: list[tuple[list[str], str]] = [
    ([], "give a USER, or --age, --gender and --occupation"),
    (["9"], "user must be one of the 5 of movielens/100k (1 to 8) but got 9"),
    (["one"], "user must be one of the 5 of movielens/100k (1 to 8) but got one"),
    (["1", "--k", "0"], "--k"),
    (["1", "--age", "30"], "user 1 is known and has another age: leave age out"),
    (["--age", "30"], "gender, occupation is missing"),
    (
        ["--age", "30", "--gender", "F", "--occupation", "wizard"],
        "occupation must be one of student, technician/engineer, writer but got 'wizard'",
    ),
    (["1", "--model", "models:/deep-retrieval/9"], "there is no model models:/deep-retrieval/9"),
    (["1", "--model", "nothing"], "--model must look like models:/NAME@ALIAS"),
    (["1", "--tracking-uri", "nowhere"], "the tracking URI must be"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT, ids=lambda value: str(value)[:40])
def test_bad_input_is_answered_in_one_line(
    workspace: Path, arguments: list[str], message: str
) -> None:
    refused(main, workspace, *arguments, message=message)


# --- mlflow models serve ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The real server, in an empty folder."""
    with serving(tmp_path_factory.mktemp("served"), workspace / "mlruns") as server:
        yield server


def test_a_known_user_is_answered(served: Served, recommender: Recommender) -> None:
    status, rows = served.ask({"user_id": 2, "k": 3})
    assert status == 200
    columns = ("user_id", "rank", "movie_id", "title", "score", "row", "known_user", "error")
    assert [tuple(row) for row in rows] == [columns] * 3
    assert [(row["user_id"], row["rank"], row["movie_id"], row["title"]) for row in rows] == [
        (2, rank, movie.movie_id, movie.title)
        for rank, movie in enumerate(recommender.recommend(2, 3), start=1)
    ]


def test_a_user_nobody_knows_is_answered(served: Served, recommender: Recommender) -> None:
    status, rows = served.ask(WRITER)
    assert status == 200
    expected = recommender.recommend(None, **WRITER)
    assert [row["movie_id"] for row in rows] == [movie.movie_id for movie in expected]
    assert [row["score"] for row in rows] == pytest.approx([movie.score for movie in expected])


def test_several_users_are_answered_at_once(served: Served) -> None:
    status, rows = served.ask({"user_id": 2, "k": 1}, {"k": 2, **WRITER}, {"user_id": 77})
    assert status == 200
    assert [(row["row"], row["user_id"], row["rank"]) for row in rows] == [
        (0, 2, 1), (1, 0, 1), (1, 0, 2), (2, 77, None),
    ]  # fmt: skip
    assert "user must be one of the 5" in rows[-1]["error"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"user_id": 77}, "row 0: user must be one of the 5 of movielens/100k (1 to 8) but got 77"),
        ({"user_id": 1, "k": 0}, "row 0: k must be at least 1 but got 0"),
        ({"user_id": "one"}, "row 0: user_id must be a whole number but got 'one'"),
        (
            {"user": 1},
            "a request needs a row with some of user_id, k, liked, age, gender, occupation",
        ),
        ({**WRITER, "occupation": "wizard"}, "occupation must be one of student, technician"),
        ({**WRITER, "gender": 7}, "gender must be one of F, M but got '7'"),
        ({"age": 30}, "gender, occupation is missing"),
    ],
)
def test_a_wrong_request_is_refused_with_the_reason(
    served: Served, row: dict[str, Any], reason: str
) -> None:
    status, message = served.ask(row)
    assert status == 400
    assert reason in message


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_the_server_has_not_loaded_tensorflow(served: Served) -> None:
    served.ask({"user_id": 2})
    session = [
        path
        for path in Path("/proc").glob("[0-9]*")
        if path.name == str(served.pid) or f" {served.pid} " in (path / "stat").read_text()
    ]
    maps = [(path / "maps").read_text() for path in session]
    assert any("jaxlib" in text for text in maps)
    assert not any("tensorflow" in text for text in maps)


def test_nothing_among_the_artifacts_is_a_pickle(workspace: Path) -> None:
    files = [path for path in (workspace / "mlruns").rglob("*") if path.is_file()]
    assert any(path.name == "query_model.keras" for path in files)
    assert {path.suffix for path in files} <= NOT_PICKLED
