"""What a person may get wrong: one line that names the file, the row, and what to do."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deeprec.errors import DataError
from tests.unit.deeprec.events.shop import EVENTS, USERS_WITH_VECTORS, Shop

Arrange = Callable[[Shop], object]


def events(old: str, new: str) -> Arrange:
    return lambda shop: shop.replace("events.csv", old, new)


def users(old: str, new: str) -> Arrange:
    return lambda shop: shop.replace("users.csv", old, new)


def items(old: str, new: str) -> Arrange:
    return lambda shop: shop.replace("items.csv", old, new)


def write(name: str, content: str | bytes) -> Arrange:
    return lambda shop: shop.write(name, content)


def parquet(**columns: Any) -> Arrange:
    def arrange(shop: Shop) -> None:
        pa.parquet.write_table(pa.table(columns), shop.folder / "e.parquet")

    return arrange


def typed_ids(shop: Shop) -> None:
    parquet(**{**WHOLE, "user": [1, 2]})(shop)
    shop.write("u.jsonl", '{"id": "1"}\n{"id": "2"}\n')


def nothing(_shop: Shop) -> None:
    pass


LINES = EVENTS.splitlines(keepends=True)
WHOLE = {"user": ["a", "b"], "item": ["x", "y"], "when": ["2025-01-01"] * 2, "event": ["buy"] * 2}
IN_PARQUET: dict[str, Any] = {"interactions": "e.parquet", "label": None}
RATINGS: dict[str, Any] = {"label": {"column": "event", "range": [1, 5]}}

FILES: list[tuple[str, Arrange, dict[str, Any], str]] = [
    (
        "missing",
        nothing,
        {"interactions": "event.csv"},
        r"event.csv is not there; did you mean events",
    ),
    (
        "no match",
        nothing,
        {"interactions": "*.parquet"},
        r"no file is called .*\*.parquet; check the",
    ),
    (
        "empty folder",
        lambda s: (s.folder / "x").mkdir(),
        {"interactions": "x"},
        r"x must hold files",
    ),
    ("empty", write("events.csv", ""), {}, r"events.csv is empty; a table has a header"),
    ("no rows", write("events.csv", LINES[0]), {}, r"events.csv has no rows"),
    (
        "unnamed format",
        write("events.xls", "x"),
        {"interactions": "events.xls"},
        r"must end in .csv",
    ),
    (
        "LFS pointer",
        write("events.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:00"),
        {},
        r"is a pointer of Git LFS, not the file; fetch it",
    ),
    (
        "cut Parquet",
        write("e.parquet", b"PAR1 and then nothing"),
        IN_PARQUET,
        r"e.parquet cannot be read as Parquet, it may be cut off",
    ),
    (
        "cut gzip",
        write("e.csv.gz", gzip.compress(EVENTS.encode() * 50)[:-60]),
        {"interactions": "e.csv.gz"},
        r"e.csv.gz cannot be unpacked, it may be cut off",
    ),
    (
        "wrong encoding",
        write("events.csv", EVENTS.replace("ann", "änn").encode("latin-1")),
        {},
        r"events.csv must be text in the encoding named .*set encoding, such as latin-1",
    ),
    (
        "unknown encoding",
        nothing,
        {"interactions": {"path": "events.csv", "encoding": "latin-99"}},
        r"unknown encoding: latin-99",
    ),
    (
        "wrong separator",
        write("events.csv", EVENTS.replace(",", ";")),
        {},
        r"has no column 'user': its header is one column, .*set separator = ';'",
    ),
    ("no header", write("events.csv", "1,2,3\n4,5,6\n"), {}, r"looks like a row; give the file a"),
    (
        "ragged line",
        events("bob,003,2025-01-04,buy", "bob,003,2025-01-04,buy,now"),
        {},
        r"events.csv, line 5 has 5 columns, the header has 4: 'bob,003,2025-01-04,buy,now'; quote",
    ),
    (
        "column twice",
        events("user,item", "user,user"),
        {},
        r"has two columns called 'user'; rename",
    ),
    (
        "other columns in another file",
        lambda s: (s.write("l/a.csv", EVENTS), s.write("l/b.csv", EVENTS.replace("when", "at"))),
        {"interactions": "l"},
        r"b.csv and .*a.csv must have the same columns but differ in 'at', 'when'",
    ),
    (
        "no such column",
        nothing,
        {"user": "usr"},
        r"events.csv has no column 'usr'; did you mean 'user'",
    ),
    (
        "no such feature",
        nothing,
        {"users__features": {"town": "category"}},
        r"users.csv has no column",
    ),
]
VALUES: list[tuple[str, Arrange, dict[str, Any], str]] = [
    (
        "no id",
        events("bob,001", ",001"),
        {},
        r"events.csv, row 3: the column 'user' must have an id in every row but 1 row .*; remove",
    ),
    (
        "ids with fractions",
        parquet(**{**WHOLE, "user": [1.0, 2.0]}),
        IN_PARQUET,
        r"the column 'user' must hold ids but holds numbers with fractions, such as 1.0; write",
    ),
    (
        "lists as ids",
        parquet(**{**WHOLE, "user": [[1], [2]]}),
        IN_PARQUET,
        r"ids, text or whole numbers",
    ),
    (
        "white space",
        events("cat,001", "cat ,001"),
        {},
        r"ids that differ in white space alone, such as 'cat' and 'cat '; trim them",
    ),
    *(
        (
            f"vector {number}",
            write("users.jsonl", USERS_WITH_VECTORS.replace("[3.0, 4.0]", value)),
            {"users": {"table": "users.jsonl", "id": "id", "features": {"taste": "vector"}}},
            message,
        )
        for number, (value, message) in enumerate(
            {
                "[3.0]": r"users.jsonl, row 2: the column 'taste' must hold 2 numbers in every row",
                "[3.0, null]": r"users.jsonl, row 2: the column 'taste' must hold finite numbers",
            }.items()
        )
    ),
    (
        "no vector",
        nothing,
        {"users__features": {"region": "vector"}},
        r"'region' must hold lists of numbers for the kind 'vector' but holds string; Parquet",
    ),
    (
        "types of ids",
        typed_ids,
        {**IN_PARQUET, "users": {"table": "u.jsonl", "id": "id"}},
        r"column 'user', has whole numbers and .*u.jsonl, column 'id', has text; convert one",
    ),
    (
        "not in its table",
        users("bob,south,40\n", ""),
        {},
        r"1 user of 3 rows are not in .*users.csv, such as 'bob'; set unknown = 'insert'",
    ),
    (
        "none in its table",
        write("users.csv", "id,region,age\nx,a,1\ny,b,2\n"),
        {"unknown": "drop"},
        r"nothing is left without them; check the column of ids",
    ),
    (
        "twice in its table",
        users("bob,south,40\n", "bob,south,40\nbob,north,40\n"),
        {},
        r"'id' must name every user once but 'bob' has 2 rows",
    ),
    (
        "a pair twice",
        events("ann,002,", "ann,001,"),
        {"duplicates": "error"},
        r"events.csv, row 2: a user has an item twice, as in 1 cases; set duplicates",
    ),
    (
        "a pair again in a later part",
        events("ann,003,2025-02-01", "ann,001,2025-02-01"),
        {"duplicates": "error"},
        r"events.csv, row 6: a user has an item twice, as in 1 cases; set duplicates",
    ),
    (
        "several values of a user",
        write("events.csv", "".join(f"{line.strip()},{n}\n" for n, line in enumerate(LINES))),
        {"users": {"features": {"0": "category"}}},
        r"the column '0' must depend on the user alone but has several values for 'ann'",
    ),
    (
        "no label",
        events("001,2025-01-01,buy", "001,2025-01-01,"),
        {},
        r"must have a label in every row",
    ),
    ("label is no number", nothing, RATINGS, r"'event' must hold numbers but 9 rows .*'buy'; mend"),
    (
        "label out of its range",
        write("events.csv", EVENTS.replace("buy", "3").replace("view", "9")),
        RATINGS,
        r"row 2: the column 'event' must lie in 1 to 5 but 1 row .*'9'; change label.range",
    ),
    (
        "decimal comma",
        write("events.csv", EVENTS.replace("buy", '"3,5"').replace("view", "1")),
        RATINGS,
        r"set decimal = ',' if fractions are written so",
    ),
    (
        "nothing is relevant",
        write("events.csv", EVENTS.replace("buy", "3").replace("view", "1")),
        {"label": {"column": "event", "range": [1, 5], "relevant": 4.0}},
        r"no row is relevant by the column 'event'.*change label.relevant",
    ),
    (
        "no such kind",
        nothing,
        {"label": {"column": "event", "weights": {"sold": 1.0}}},
        r"no row of the column 'event' is 'sold'; its kinds are 'buy', 'view': change label",
    ),
    (
        "number that is none",
        users("bob,south,40", "bob,south,forty"),
        {},
        r"users.csv, row 2: the column 'age' must hold numbers but 1 row .*'forty'",
    ),
    ("constant feature", users("south", "north"), {}, r"'region' has the same value in all rows"),
    (
        "a log of zero",
        items("20", "0"),
        {"items__features": {"price": {"kind": "number", "scale": "log"}}},
        r"'price' must be above 0 for the scale 'log' but has 0; choose the scale 'quantile'",
    ),
    (
        "numbers as text",
        lambda s: pa.parquet.write_table(
            pa.table({"sku": ["001", "002", "003"], "price": [1, 2, 3]}), s.folder / "i.parquet"
        ),
        {"items": {"table": "i.parquet", "id": "sku", "features": {"price": "text"}}},
        r"'price' must hold text or lists for the kind 'text' but holds int64",
    ),
]
TIMES: list[tuple[str, Arrange, dict[str, Any], str]] = [
    ("no time", events("001,2025-01-01", "001,"), {}, r"must have a time in every row"),
    ("no such day", events("2025-01-04", "2025-02-30"), {}, r"row 4: .*hold times as ISO 8601"),
    ("another form", events("2025-01-04", "4 Jan 2025"), {}, r"set time.format, such as %d.%m.%Y"),
    (
        "another format",
        nothing,
        {"time": {"column": "when", "format": "%d.%m.%Y"}},
        r"row 1: the column 'when' must hold times as %d.%m.%Y but 9 rows",
    ),
    (
        "milliseconds",
        parquet(**{**WHOLE, "when": [1_700_000_000_000, 1_700_000_000_001]}),
        IN_PARQUET,
        r"got 1700000000000, which is no plausible year; set unit = 'ms'",
    ),
    (
        "the future",
        events("2025-03-02", "2095-03-02"),
        {},
        r"row 9: .*from 1900 to now but got 2095",
    ),
    (
        "no such zone",
        nothing,
        {"time": {"column": "when", "zone": "Europe/Bonn"}},
        r"time.zone must be a time zone such as Europe/Berlin but got 'Europe/Bonn'",
    ),
    (
        "an hour that is there twice",
        events("2025-01-04", "2024-10-27 02:30"),
        {"time": {"column": "when", "zone": "Europe/Berlin"}},
        r"a change of the clock in Europe/Berlin skips or has twice",
    ),
    (
        "flags as times",
        parquet(**{**WHOLE, "when": [True, False]}),
        IN_PARQUET,
        r"must hold times but",
    ),
]
SPLITS: list[tuple[str, Arrange, dict[str, Any], str]] = [
    (
        "an empty part",
        nothing,
        {"split": {"validation": "2025-03-01", "test": "2026-03-01"}},
        r"leaves no row to test on \(the times are 2025-01-01 00:00:00 UTC to 2025-03-02",
    ),
    (
        "no date",
        nothing,
        {"split": {"validation": "May", "test": "June"}},
        r"must be dates such as",
    ),
    (
        "test before validation",
        nothing,
        {"split": {"validation": "2025-03-01", "test": "2025-02-01"}},
        r"split.validation must be before split.test",
    ),
    (
        "one file for two parts",
        nothing,
        {"split": {"by": "files", "validation": "events.csv", "test": "users.csv"}},
        r"users.csv has no column|events.csv is named for two parts",
    ),
    (
        "a core of nothing",
        nothing,
        {"core": {"users": 9, "items": 9}},
        r"leaves no training row of 5",
    ),
    (
        "no known user to validate on",
        lambda s: s.write(
            "events.csv",
            EVENTS.replace("ann,003,2025-02", "eve,003,2025-02").replace(
                "bob,002,2025-02", "eve,002,2025-02"
            ),
        ),
        {"users": {}},
        r"no user of the validation rows has a training row, and users have no features",
    ),
    (
        "nothing relevant to validate on",
        lambda s: s.write(
            "events.csv",
            EVENTS.replace("2025-02-01,buy", "2025-02-01,view").replace(
                "2025-02-02,buy", "2025-02-02,view"
            ),
        ),
        {},
        r"no row to validate on is relevant; change the split or label.relevant",
    ),
    (
        "all that is validated is had already",
        lambda s: s.write("events.csv", EVENTS.replace("003,2025-02", "002,2025-02")),
        {"split": {"validation": "2025-02-01", "test": "2025-02-02"}},
        r"all relevant rows to validate on are of items that their users have already; set repeats",
    ),
]
CASES = [*FILES, *VALUES, *TIMES, *SPLITS]


@pytest.mark.parametrize(
    ("arrange", "changes", "message"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_one_line_says_where_and_what_to_do(
    arrange: Arrange, changes: dict[str, Any], message: str, shop: Shop
) -> None:
    arrange(shop)
    with pytest.raises(DataError, match=message) as raised:
        shop.prepare(**changes)
    assert "\n" not in str(raised.value)


DESCRIPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"item": "user"}, r"must have two columns as user and item but got 'user' twice"),
    ({"time": None}, r"must name the column with the time, as time, to be split by 'time'"),
    (
        {"users": {"features": {"event": "category"}}},
        r"must not use the label 'event' as the feature",
    ),
    ({"label": {"column": "event"}}, r"must have a range .* or weights"),
    ({"label": {"column": "event", "range": [5, 1]}}, r"must have a range from low to high"),
    (
        {"label": {"column": "event", "weights": {"buy": 1.0}, "relevant": ["sold"]}},
        r"must have relevant kinds among its weights but got 'sold'",
    ),
    ({"split": {"validation": 0.6}}, r"must have a share above 0 and below 0.5 as validation"),
    ({"split": {"validation": "2025-01-01"}}, r"must have dates for both"),
    ({"split": {"by": "random", "test": "2025-01-01"}}, r"must have a share as test"),
    ({"split": {"by": "last_per_user", "test": 0.1}}, r"must leave test out"),
    ({"users__id": None}, r"must name the column with the ids, as id"),
    ({"users__title": "id"}, r"must leave users.title out"),
    ({"items": {"ids": False}}, r"must have a feature of items where items.ids is false"),
    ({"users__features": {"liked": "tags"}}, r"must call the feature users.features.liked other"),
    (
        {"users__features": {"x": {"kind": "cross", "of": ["a", "b"]}}},
        r"must cross two other features",
    ),
    (
        {"time": {"column": "when", "unit": "s", "format": "%Y"}},
        r"a unit .* or a format .* but got both",
    ),
]


@pytest.mark.parametrize(("changes", "message"), DESCRIPTIONS, ids=[m for _, m in DESCRIPTIONS])
def test_a_description_is_checked_before_any_file(
    changes: dict[str, Any], message: str, shop: Shop
) -> None:
    with pytest.raises(ValidationError, match=message):
        shop.described(**changes)


@given(st.data())
def test_any_damage_is_prepared_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Bytes are replaced, inserted and cut in one of the files."""
    shop = Shop(tmp_path_factory.mktemp("shop", numbered=True))
    name = data.draw(st.sampled_from(["events.csv", "users.csv", "items.csv"]))
    path: Path = shop.folder / name
    text = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 5))] = data.draw(
            st.sampled_from(
                [b"", b",", b"\n", b'"', b"\x00", b"\xff", b";", b"NaN", b"-1", b"1e400"]
            )
        )
    path.write_bytes(bytes(text))
    try:
        entry = shop.prepare(unknown=data.draw(st.sampled_from(["error", "insert", "drop"])))
    except DataError as error:
        said = str(error)
        assert "\n" not in said
    else:
        assert entry.arrays["ends"][-1] == len(entry.arrays["interactions.user"])
