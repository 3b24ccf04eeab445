"""The reference pages say what the code says."""

import re
import signal
from pathlib import Path

import pytest

from search.commands.cli import BAD_INPUT, FAILED, INTERRUPTED
from search.config.addresses import PROJECT
from search.config.sections import EnqueuedSection, SpaceSection
from search.execution.processes import SIGNALS
from tests.documentation import commands, exit_codes
from tests.documentation.reference import FOLDER, pages


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


@pytest.mark.parametrize("name", ["commands.md", "exit-codes.md", "metrics.md", "study-file.md"])
def test_a_page_is_what_the_code_makes_of_it(made: dict[str, str], name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == made[name], "run make docs"


def test_there_is_no_page_that_nothing_makes(made: dict[str, str]) -> None:
    assert {path.name for path in FOLDER.iterdir()} == made.keys()


def test_every_flag_of_every_command_has_a_meaning(made: dict[str, str]) -> None:
    rows = [line for line in made["commands.md"].splitlines() if line.startswith("| `")]
    assert len(rows) > 30
    for row in rows:
        flag, _default, meaning = re.split(r"(?<!\\)\|", row.strip("| "))
        assert meaning.strip().endswith("."), flag


def test_every_module_with_flags_is_a_command_of_the_page(made: dict[str, str]) -> None:
    found = re.findall(r"^## python -m (search\.\w+)$", made["commands.md"], re.MULTILINE)
    assert found == commands.modules()
    assert {"search.run", "search.retrain", "search.recommend"} <= set(found)


def test_every_key_of_a_study_file_is_on_the_page(made: dict[str, str]) -> None:
    for model in (SpaceSection, EnqueuedSection):
        for name in model.model_fields:
            assert f"| `{name}` |" in made["study-file.md"]
    assert '| `split` | text | `"random"` | `"random"`, `"temporal"` |' in made["study-file.md"]


def test_names_in_the_texts_of_the_tracking_package_are_explained(made: dict[str, str]) -> None:
    """A tag that is set under conditions that the samples do not meet would be missed."""
    sources = [
        *(PROJECT / "search" / "tracking").glob("*.py"),
        PROJECT / "search" / "records" / "trials.py",
    ]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    tags = set(re.findall(r'"(deeprec\.[a-z_.]*[a-z_])"', text))
    assert len(tags) > 20
    assert not {tag for tag in tags if f"`{tag}`" not in made["metrics.md"]}


def test_the_exit_codes_are_those_of_the_code() -> None:
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", exit_codes.page(), re.MULTILINE)]
    by_signal = [128 + signal.SIGHUP, INTERRUPTED, 128 + signal.SIGTERM]
    assert codes == [0, FAILED, BAD_INPUT, *by_signal]
    assert sorted(128 + number for number in SIGNALS) == by_signal


def test_the_gpu_page_installs_the_version_of_the_lock_file() -> None:
    page = (PROJECT / "docs" / "how-to" / "gpu.md").read_text(encoding="utf-8")
    lock = Path(PROJECT / "requirements.lock").read_text(encoding="utf-8")
    locked = re.search(r"^jax==(\S+)", lock, re.MULTILINE)
    assert locked is not None
    assert f"'jax[cuda12]=={locked[1]}'" in page
