"""A report written: where to, whole or not at all, what is printed, and what is refused."""

import json
import os
import webbrowser
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState
from pydantic import ValidationError

from search.config.addresses import Workspace
from search.display.terminal import Screen
from search.records.errors import InputError
from search.report.schema import Report
from search.report.writing import deliver, document, report_of, report_path
from search.session.session import Flags, Session
from tests.unit.search.report.made import Made


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session on a study with one trial, as a search leaves it."""
    workspace = Workspace(tmp_path)
    workspace.studies.mkdir()
    with Made(workspace.studies) as made:
        made.add()
    return Session.of(Flags(study="made"), made.spec, workspace, Screen())


def test_an_empty_study_has_nulls(made: Made) -> None:
    content = json.loads(document(made.facts).model_dump_json())
    assert content["schema_version"] == 1
    for name in ("best", "confirmed", "confirmation", "test", "importances"):
        assert content[name] is None
    assert content["trials"]["complete"] == 0
    assert content["leaderboard"] == []
    assert content["study"]["versions"] is None


def test_a_whole_study_comes_back_from_its_json(made: Made) -> None:
    made.fill(30)
    made.keep_references()
    made.keep_confirmation(1, 2)
    found = document(made.facts)
    assert Report.model_validate_json(found.model_dump_json()) == found
    assert found.best is not None
    assert found.leaderboard[0].number == found.best.number
    assert sum(found.trials.values()) == 30
    assert found.test is not None
    assert found.test["test_top_100_accuracy"].mean == pytest.approx(0.33)
    assert found.test["test_top_100_accuracy"].standard_deviation == pytest.approx(0.01)
    assert found.confirmation is not None
    assert [each.trial for each in found.confirmation.contenders] == [1, 2, None]
    assert found.confirmation.winner == 1
    newer = [trial for trial in found.leaderboard if trial.number not in (1, 2)]
    assert found.confirmation.newer_trials == len(newer)


def test_slices_say_where_a_reference_is_above_the_winner(made: Made) -> None:
    made.fill(3)
    made.keep_references()
    made.keep_confirmation(0, 1)
    assert document(made.facts).slices == []
    made.keep_slices(users=40)
    known, north = document(made.facts).slices
    assert (known.name, known.users, known.winner.mean, known.better) == (
        "known_users",
        500,
        0.5,
        None,
    )
    assert (north.name, north.users, north.better) == ("region:north", 40, "popularity")
    assert north.references == {"popularity": 0.3, "ease": 0.3}
    assert "test_top_100_accuracy_region:north" in document(made.facts).tested[0].metrics
    made.keep_slices(users=4)
    assert document(made.facts).slices[1].better is None


def test_values_that_are_no_numbers_are_refused(made: Made) -> None:
    content = document(made.facts).model_dump()
    content["cost"]["train_seconds"] = float("nan")
    with pytest.raises(ValidationError):
        Report.model_validate(content)


def test_only_failures_are_counted_as_such(made: Made) -> None:
    made.add(state=TrialState.FAIL, reason="out of memory")
    found = document(made.facts)
    assert (found.trials["failed"], found.best) == (1, None)
    assert any("out of memory" in line for line in found.warnings)


def test_a_page_is_written_whole_with_the_umask(made: Made, tmp_path: Path) -> None:
    path = report_path(tmp_path / "studies" / "made")
    os.umask(0o027)
    made.write_report(path)
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_text("utf-8").rstrip().endswith("</html>")
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


def test_a_full_disk_leaves_the_page(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        made.write_report(path)
    assert path.read_text() == "old"
    assert list(tmp_path.glob(".report*")) == []


def test_the_report_lies_beside_the_towers(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(report_of(session), session.screen)
    path = tmp_path / "studies" / "made" / "report.html"
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")
    said = capsys.readouterr().out.splitlines()
    assert said == [f"report: {path}", f"open it in a browser: {path.as_uri()}"]


def test_json_is_all_that_is_printed_and_nothing_is_written(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_study = session.spec.study.model_copy(update={"description": "Étude"})
    session = replace(session, spec=session.spec.model_copy(update={"study": of_study}))
    deliver(report_of(session), session.screen, as_json=True)
    printed = capsys.readouterr().out
    assert Report.model_validate(json.loads(printed)).study.description == "Étude"
    assert printed.isascii()  # for a terminal or a pipe of any encoding
    assert not (tmp_path / "studies" / "made").exists()


@pytest.mark.parametrize("there_is_one", [True, False])
def test_a_browser_is_opened_when_asked_for(
    there_is_one: bool,
    session: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    opened: list[str] = []

    def open_it(address: str) -> bool:
        opened.append(address)
        return there_is_one

    monkeypatch.setattr(webbrowser, "open", open_it)
    path = tmp_path / "a b.html"
    deliver(report_of(session), session.screen, output=path, open_it=True)
    assert opened == [path.as_uri()]
    assert path.exists()
    assert ("no browser could be opened" in capsys.readouterr().err) != there_is_one


def test_where_it_cannot_be_written_is_said_in_one_line(session: Session, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "report.html", tmp_path):
        with pytest.raises(InputError, match="--output must be a file that can be written") as said:
            report_of(session).write(path)
        assert "\n" not in str(said.value)


def test_a_study_that_is_none_is_named_with_what_to_do(session: Session, tmp_path: Path) -> None:
    elsewhere = Workspace(tmp_path / "other")
    session = Session.of(session.flags, session.spec, elsewhere, session.screen)
    with pytest.raises(InputError, match="there is no study 'made'.*search it first"):
        report_of(session)


def test_another_study_of_that_name_is_refused(session: Session) -> None:
    with Made(session.workspace.studies) as made:
        made.study.set_user_attr("seed", 99)
    with pytest.raises(InputError, match="seed was 99, is 3"):
        report_of(session)
