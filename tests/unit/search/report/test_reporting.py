"""The command: where the report goes, what is printed, and what is refused."""

import json
import webbrowser
from pathlib import Path

import optuna
import pytest

from search.config.study import StudySpec
from search.config.workspace import Workspace
from search.records.errors import InputError
from search.report.document import Report
from search.report.writing import report
from search.session.session import Session
from search.storage.study import close_study, open_study
from tests.unit.search.report.made import add_trial


@pytest.fixture
def session(tmp_path: Path, spec: StudySpec) -> Session:
    """A session on a study with one trial, as a search leaves it."""
    workspace = Workspace(tmp_path)
    workspace.studies.mkdir()
    url = f"sqlite:///{workspace.studies}/made.db"
    study = open_study(url, spec, "f" * 64, "identity")
    add_trial(study, spec)
    close_study(study)
    return Session(spec=spec, study_argument="made", workspace=workspace)


def test_the_report_lies_beside_the_towers(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(session, output=None) == 0
    path = tmp_path / "studies" / "made" / "report.html"
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")
    said = capsys.readouterr().out.splitlines()
    assert said == [f"report: {path}", f"open it in a browser: {path.as_uri()}"]


def test_json_is_all_that_is_printed_and_nothing_is_written(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_study = session.spec.study.model_copy(update={"description": "Étude"})
    session.spec = session.spec.model_copy(update={"study": of_study})
    assert report(session, output=None, as_json=True) == 0
    printed = capsys.readouterr().out
    assert Report.model_validate(json.loads(printed)).study.description == "Étude"
    assert printed.isascii()  # for a terminal or a pipe of any encoding
    assert not (tmp_path / "studies" / "made").exists()


def test_a_browser_is_opened_when_asked_for(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_it(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", open_it)
    path = tmp_path / "a b.html"
    report(session, output=path, open_it=True)
    assert opened == [path.as_uri()]
    assert path.exists()


def test_where_it_cannot_be_written_is_said_in_one_line(session: Session, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="--output must be a file that can be written but") as said:
        report(session, output=tmp_path / "file" / "report.html")
    assert "\n" not in str(said.value)
    with pytest.raises(InputError, match="--output must be"):
        report(session, output=tmp_path)


def test_a_study_that_is_not_there_is_named_with_what_to_do(
    spec: StudySpec, tmp_path: Path
) -> None:
    session = Session(spec=spec, study_argument="made", workspace=Workspace(tmp_path / "other"))
    with pytest.raises(InputError, match="there is no study 'made'.*search it first"):
        report(session, output=None)


def test_another_study_of_that_name_is_refused(
    session: Session, spec: StudySpec, tmp_path: Path
) -> None:
    study = optuna.load_study(storage=session.storage_url, study_name="made")
    study.set_user_attr("seed", 99)
    close_study(study)
    with pytest.raises(InputError, match="seed was 99, is 3"):
        report(session, output=None)
