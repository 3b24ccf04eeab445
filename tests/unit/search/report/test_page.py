"""The page as text: escaped, self-contained, and saying so where there is nothing."""

import html.parser
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from search.report.page import duration, hero, page
from tests.unit.search.report.made import COMMANDS, FILE, Made

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
        self.tags.append((tag, dict(attrs)))
        self._in_script = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False

    def handle_data(self, data: str) -> None:
        self.text += "" if self._in_script else data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]


def data_of(text: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_hostile_text_is_shown_and_never_run(tmp_path: Path) -> None:
    with Made(tmp_path, FILE.replace("Made up, for tests", HOSTILE)) as made:
        made.add(reference=HOSTILE)
        made.add(state=TrialState.FAIL, reason=HOSTILE)
        text = page(made.facts)
    reader = Reader(text)
    assert len(reader.named("script")) == 3
    assert reader.named("img") == []
    assert reader.text.count(HOSTILE) >= 3
    assert HOSTILE in data_of(text)["trials"]["rows"][0][1][0]


def test_what_the_split_loses_is_said_with_the_verdict(made: Made) -> None:
    counts = {"rows": 8, "users": 4, "unknown_users": 3, "rows_of_unknown_users": 6}
    made.study.set_user_attr("description", {"overlap": {"test": counts}})
    [lost] = made.facts.lost
    assert lost == "Training does not know 3 of 4 users (75.0% of the rows) of test."
    shown = page(made.facts)
    assert shown.index('id="verdict"') < shown.index(lost) < shown.index('id="leaderboard"')


def test_the_reference_that_is_hardest_to_beat_is_a_key_number(made: Made) -> None:
    made.add(top=0.45)
    made.keep_references()
    assert hero(made.facts)[-3] == ("EASE", "0.5103", "validation; the best is not above it")


def test_slices_are_a_table_with_their_sizes(made: Made) -> None:
    made.fill(3)
    made.keep_references()
    made.keep_confirmation(0, 1)
    assert "Whom it serves how well" not in page(made.facts)
    made.keep_slices(users=40)
    shown = " ".join(Reader(page(made.facts)).text.split())
    assert "top-100 accuracy on parts of the test rows" in shown
    assert "region north400.2000 ± 0.00000.30000.3000popularity is better" in shown
    made.keep_slices(users=4)
    assert "too few users" in Reader(page(made.facts)).text


def test_text_in_pictures_is_no_markup(made: Made) -> None:
    made.add(derived={"layer_sizes": "<a href='https://evil'>(1,)</a>"})
    made.keep_confirmation(0, 1)
    shown = json.dumps(data_of(page(made.facts))["plots"])
    assert "<a " not in shown
    assert "&lt;a " in shown


def test_nothing_is_fetched(made: Made) -> None:
    made.fill(12)
    reader = Reader(page(made.facts))
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
def test_every_section_is_there_whatever_the_study_holds(count: int, made: Made) -> None:
    for number in range(count):
        made.add(top=0.2 + number / 100, rate=0.01 + number / 100)
    reader = Reader(page(made.facts))
    sections = [each["id"] for each in reader.named("section")]
    assert sections[:3] == ["verdict", "leaderboard", "references"]
    assert [f"#{section}" for section in sections] == [
        link["href"] for link in reader.named("a") if link["href"] != "#main"
    ]
    headings = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    assert COMMANDS.retrain in reader.text
    drawn = [each for each in reader.named("div") if each.get("role") == "img"]
    assert len(drawn) == len(reader.named("figcaption"))
    assert (len(drawn) == 0) == (count == 0)


def test_no_name_of_the_code_is_shown(made: Made) -> None:
    made.fill(12)
    made.keep_references()
    made.keep_confirmation(1, 2)
    text = page(made.facts)
    shown = re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)  # the study file
    words = Reader(shown).text + json.dumps([plot["data"] for plot in data_of(text)["plots"]])
    for name in ("embedding_dimension", "layer_sizes", "learning_rate", "_log2", "top_100"):
        assert name not in words
    assert "embedding dimension" in words


def test_only_failures_are_said_in_words(made: Made) -> None:
    made.add(state=TrialState.FAIL, reason="train_loss is not finite")
    text = Reader(page(made.facts)).text
    assert "No trial has finished yet." in text
    assert "1 failed trial" in text


def test_durations_are_in_words() -> None:
    words = {0.41: "0.4 s", 12.4: "12 s", 206: "3 min 26 s", 7500: "2 h 5 min"}
    assert {seconds: duration(seconds) for seconds in words} == words
