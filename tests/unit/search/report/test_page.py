"""The page as text: escaped, self-contained, and saying so where there is nothing."""

import html.parser
import itertools
import json
import os
import re
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from search.config.study import StudySpec
from search.report.page import page
from search.report.writing import report_path
from tests.unit.search.report.made import (
    COMMANDS,
    FILE,
    add_trial,
    facts_of,
    fill,
    keep_references,
    made_spec,
    made_study,
    write_report,
)

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


class Reader(html.parser.HTMLParser):
    """Collects what a browser would act on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._in_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        """Note that a script is over."""
        self._in_script = False

    def handle_data(self, data: str) -> None:
        """Keep what is shown."""
        self.text += "" if self._in_script else data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]


def data_of(text: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_hostile_text_is_shown_and_never_run(study: optuna.Study, spec: StudySpec) -> None:
    add_trial(study, spec, reference=HOSTILE)
    add_trial(study, spec, state=TrialState.FAIL, reason=HOSTILE)
    text = page(facts_of(study, spec))
    reader = Reader(text)
    assert len(reader.named("script")) == 3
    assert reader.named("img") == []
    assert HOSTILE in reader.text
    rows = data_of(text)["trials"]["rows"]
    assert HOSTILE in rows[0][1][0]


def test_a_hostile_description_and_file_are_escaped(tmp_path: Path) -> None:
    spec = made_spec(tmp_path, FILE.replace("Made up, for tests", HOSTILE))
    reader = Reader(page(facts_of(made_study(tmp_path, spec), spec)))
    assert len(reader.named("script")) == 3
    assert reader.named("img") == []


def test_text_in_pictures_is_no_markup(study: optuna.Study, spec: StudySpec) -> None:
    add_trial(study, spec)
    add_trial(study, spec, derived={"layer_sizes": "<a href='https://evil'>(1,)</a>"})
    shown = json.dumps(data_of(page(facts_of(study, spec)))["plots"])
    assert "<a " not in shown
    assert "&lt;a " in shown


def test_nothing_is_fetched(study: optuna.Study, spec: StudySpec) -> None:
    fill(study, spec, 12)
    reader = Reader(page(facts_of(study, spec)))
    addresses = [
        address
        for _, attributes in reader.tags
        for name in ("src", "href", "srcset", "action")
        if (address := attributes.get(name))
    ]
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    [policy] = [each for each in reader.named("meta") if "http-equiv" in each]
    assert "default-src 'none'" in (policy["content"] or "")


@pytest.mark.parametrize("count", [0, 1, 2, 12])
def test_every_section_is_there_whatever_the_study_holds(
    count: int, study: optuna.Study, spec: StudySpec
) -> None:
    for number in range(count):
        add_trial(study, spec, top=0.2 + number / 100, rate=0.01 + number / 100)
    reader = Reader(page(facts_of(study, spec)))
    sections = [each["id"] for each in reader.named("section")]
    assert sections[:3] == ["verdict", "leaderboard", "references"]
    assert len(sections) == 12
    headings = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    assert COMMANDS.retrain in reader.text
    drawn = [each for each in reader.named("div") if each.get("role") == "img"]
    assert len(drawn) == len(reader.named("figcaption"))
    assert (len(drawn) == 0) == (count == 0)


def test_only_failures_are_said_in_words(study: optuna.Study, spec: StudySpec) -> None:
    add_trial(study, spec, state=TrialState.FAIL, reason="train_loss is not finite")
    text = Reader(page(facts_of(study, spec))).text
    assert "No trial has finished yet." in text
    assert "1 failed trial" in text


def test_a_report_is_written_whole_with_the_umask(
    study: optuna.Study, spec: StudySpec, tmp_path: Path
) -> None:
    keep_references(study)
    path = report_path(tmp_path / "studies" / "made")
    before = os.umask(0o027)
    try:
        assert write_report(study, spec, path) == path
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.read_text("utf-8").endswith("</html>\n") or path.read_text("utf-8").endswith(
        "</html>"
    )
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


def test_what_cannot_be_written_leaves_the_old_report(
    study: optuna.Study, spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_report(study, spec, path)
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.glob(".report*")] == []
