"""Bad numbers and words on the command line: one line, exit code 2, nothing written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search import recommend, reproduce, run
from tests.faults.deceit import few
from tests.faults.in_process import COMMANDS, TEXTS, is_number, refused

pytestmark = [pytest.mark.data, pytest.mark.faults]

WORDS = TEXTS.filter(lambda text: not is_number(text))
NOT_WHOLE = st.one_of(
    WORDS,
    st.floats().filter(lambda number: not number.is_integer()).map(str),
    st.sampled_from(["", " ", "1.5", "0x10", "1,000", "--", "9" * 5000, "\x1b[31m", "\0"]),
)
NOT_POSITIVE = st.integers(max_value=0).map(str)
HUGE = st.integers(min_value=10**19).map(str)
NO_SECONDS = st.one_of(
    WORDS,
    st.floats(max_value=0).map(str),
    st.sampled_from(["nan", "inf", "-inf", "1e999", "0", "-0.0"]),
)


@pytest.mark.parametrize(
    ("command", "options", "values"),
    [
        ("run", "--trials --workers", NOT_WHOLE | NOT_POSITIVE | HUGE),
        ("run", "--seed", NOT_WHOLE | HUGE),
        ("run", "--timeout --grace", NO_SECONDS),
        ("retrain", "--trial", NOT_WHOLE),
        ("retrain", "--top --seeds", NOT_WHOLE | NOT_POSITIVE),
        ("recommend", "--k", NOT_WHOLE | NOT_POSITIVE),
        ("recommend", "--age", WORDS),
    ],
)
@given(data=st.data())
def test_a_number_that_is_none(
    folder: Path, command: str, options: str, values: st.SearchStrategy[str], data: st.DataObject
) -> None:
    option, value = data.draw(st.sampled_from(options.split())), data.draw(values)
    study = () if command == "recommend" else ("--study", "tiny")
    refused(COMMANDS[command], folder, *study, f"{option}={value}", message=option)


@pytest.mark.parametrize("command", ["run", "retrain"])
@few
@given(name=st.one_of(TEXTS, st.sampled_from(["..", ".", "/", "../tiny", "tiny/", "x" * 9000])))
def test_a_study_that_is_none(folder: Path, command: str, name: str) -> None:
    if name not in ("tiny", "tutorial", "ranking"):
        refused(COMMANDS[command], folder, f"--study={name}", message="unknown study")


@pytest.mark.parametrize("option", ["--sampler", "--pruner"])
@few
@given(name=TEXTS)
def test_a_method_that_is_none(folder: Path, option: str, name: str) -> None:
    refused(run.main, folder, "--study", "tiny", f"{option}=x{name}", message=option)


@pytest.mark.parametrize("command", COMMANDS)
@few
@given(name=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20))
def test_an_option_that_is_none(folder: Path, command: str, name: str) -> None:
    refused(COMMANDS[command], folder, f"--no-{name}-x", message="No such option")


NO_MODELS = TEXTS.filter(lambda text: text and not text.startswith("models:/"))


@few
@given(
    model=NO_MODELS | st.sampled_from(["models:/", "models:/../x", "models:/a/b", "models:/a@b@c"])
)
def test_a_model_that_is_none(folder: Path, model: str) -> None:
    refused(recommend.main, folder, "1", f"--model={model}", message="--model must")


def test_a_model_before_there_is_any(folder: Path) -> None:
    refused(recommend.main, folder, "1", "--model", "models:/x/1", message="there is no model")


@few
@given(run_id=TEXTS.filter(lambda text: not text.startswith("-")))
def test_a_run_before_there_is_any(folder: Path, run_id: str) -> None:
    refused(reproduce.main, folder, run_id, message="there is no MLflow database")


@pytest.mark.parametrize("place", ["x" * 300, "x\x1b[31m", "a\nb", "a\0b", "y" * 5000, "/dev/zero"])
def test_a_folder_of_data_that_is_none(folder: Path, place: str) -> None:
    refused(run.main, folder, "--study", "tiny", "--quiet", "--data-dir", place, message="data")
