"""From files to arrays: hand-worked."""

import gzip
import json
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import strategies as st

from deeprec.data.cache import Entry
from deeprec.data.preparation import order_of
from deeprec.errors import RequestError
from deeprec.events.columns import read_ids, read_times
from deeprec.events.description import FilesDescription
from deeprec.events.encoding import Encoder
from deeprec.events.files import Frame, read_columns
from deeprec.events.preparation import fingerprint_of
from tests.unit.deeprec.events.shop import EVENTS, USERS_WITH_VECTORS, Shop


def about(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(entry.arrays["about"].tobytes())
    return found


def rows(entry: Entry) -> list[tuple[Any, ...]]:
    """User, item, label and relevance of each row, by the user's own ids."""
    arrays = entry.arrays
    users, items = arrays["user_ids"].tolist(), arrays["item_ids"].tolist()
    return [
        (users[user], items[item], float(label), bool(relevant))
        for user, item, label, relevant in zip(
            *(arrays[f"interactions.{name}"] for name in ("user", "item", "label", "relevant")),
            strict=True,
        )
    ]


def test_rows_are_divided_at_the_dates_and_ids_are_as_written(shop: Shop) -> None:
    entry = shop.prepare()
    assert entry.arrays["ends"].tolist() == [5, 7, 9]
    assert rows(entry)[:2] == [(b"ann", b"001", 1.0, True), (b"ann", b"002", 0.25, False)]
    assert rows(entry)[7:] == [(b"cat", b"001", 1.0, True), (b"dan", b"003", 1.0, True)]
    assert entry.arrays["interactions.time"][0] == 1735689600 * 10**6
    assert "5 rows to train on, 2 to validate on, 2 to test on" in shop.said
    assert "test: 1 users and 0 items that training does not know" in shop.said


def test_rows_of_tables_are_reserved_then_known_then_unknown(shop: Shop) -> None:
    arrays = shop.prepare().arrays
    assert arrays["user_ids"].tolist() == [b"", b"", b"ann", b"bob", b"cat", b"dan"]
    assert arrays["users.user_id"].tolist() == [0, 1, 2, 3, 4, 1]  # training does not know dan
    assert arrays["item_ids"].tolist() == [b"", b"", b"001", b"002", b"003", b"004"]
    assert arrays["items.item_id"].tolist() == [0, 1, 2, 3, 4, 1]


def test_vectors_are_as_they_are_or_of_length_one_and_zero_where_there_is_none(shop: Shop) -> None:
    shop.write("users.jsonl", USERS_WITH_VECTORS)
    features = {"taste": "vector", "unit": {"kind": "vector", "column": "taste", "normalize": True}}
    entry = shop.prepare(users__table="users.jsonl", users__features=features)
    columns = [entry.arrays[f"users.{name}"] for name in features]
    assert columns[0].tolist() == [[0, 0], [0, 0], [0.5, 1.5], [3, 4], [0, 0], [0, 1]]
    np.testing.assert_allclose(columns[1][3], [0.6, 0.8])
    encoder = Encoder.of(about(entry)["user_encodings"])
    assert encoder.features_of({"unit": "[3, 4]"})["unit"] == pytest.approx([0.6, 0.8])
    with pytest.raises(RequestError, match=r"taste must be 2 numbers such as \[0.1, ...\] but got"):
        encoder.features_of({"taste": [1.0]})


def test_whole_numbers_of_a_table_are_the_texts_of_a_csv_file(shop: Shop) -> None:
    for old, new in (("ann", "1"), ("bob", "2"), ("cat", "3"), ("dan", "10")):
        shop.write("events.csv", (shop.folder / "events.csv").read_text().replace(old, new))
    table = {"id": [10, 3, 2, 1], "region": list("wnsn"), "age": [50.0, None, 40.0, 30.0]}
    pa.parquet.write_table(pa.table(table), shop.folder / "users.parquet")
    arrays = shop.prepare(users__table="users.parquet").arrays
    assert arrays["user_ids"].tolist() == [b"", b"", b"1", b"2", b"3", b"10"]
    assert arrays["users.region"].tolist() == [0, 0, 2, 3, 2, 1]


def test_features_are_learned_from_what_training_knows(shop: Shop) -> None:
    entry = shop.prepare()
    # north is the most frequent of ann, bob and cat; west is dan's alone.
    assert entry.arrays["users.region"].tolist() == [0, 0, 2, 3, 2, 1]
    assert entry.arrays["users.age"].tolist() == [0, 0, 1, 2, 0, 2]  # no value, or one of two bins
    # Of shoe (twice), blue, hat and red, in the order of their frequency; a list is padded with 0.
    assert entry.arrays["items.tags"].tolist()[2:] == [[2, 5], [2, 3], [4, 0], [0, 0]]
    [words] = [f for f in about(entry)["items"] if f["name"] == "words"]
    assert words["kind"] == "text"
    assert about(entry)["titles"] == ["", "", "Red Shoe", "Blue Shoe", "Hat", "Scarf"]


def test_a_user_in_no_table_is_encoded_as_the_table_is(shop: Shop) -> None:
    entry = shop.prepare()
    encoder = Encoder.of(about(entry)["user_encodings"])
    people: list[dict[str, Any]] = [
        {"region": "north", "age": 30},
        {"region": "south", "age": "40"},
        {"region": "north"},
    ]
    for row, given in enumerate(people, start=2):
        expected = {name: int(entry.arrays[f"users.{name}"][row]) for name in ("region", "age")}
        assert encoder.features_of(given) == expected


@pytest.mark.parametrize(
    ("mode", "labels"), [("first", [0.25]), ("last", [1.0]), ("sum", [1.0]), ("keep", [0.25, 1.0])]
)
def test_one_row_of_a_user_with_an_item_is_left_in_a_part(
    mode: str, labels: list[float], shop: Shop
) -> None:
    shop.replace("events.csv", "ann,002,2025-01-02,view\n", "ann,002,2025-01-02,view\n" * 2)
    shop.replace("events.csv", "view\nann,002,2025-01-02,view\n", "view\nann,002,2025-01-03,buy\n")
    found = [row for row in rows(shop.prepare(duplicates=mode)) if row[:2] == (b"ann", b"002")]
    assert [label for _, _, label, _ in found] == labels
    assert any(relevant for _, _, _, relevant in found), "one of the events was relevant"


def test_what_a_user_has_already_stays_in_a_later_part_and_is_counted(shop: Shop) -> None:
    shop.replace("events.csv", "ann,003,2025-02-01", "ann,002,2025-02-01")
    again = "validation: 1 row is not asked for, of what a user has already"
    assert len(rows(shop.prepare())) == 9
    assert again in shop.said
    shop.said.clear()
    shop.prepare(repeats=True)
    assert again not in shop.said


def test_equal_times_are_never_divided(shop: Shop) -> None:
    days = "".join(f"u{n % 3},00{n % 3 + 1},2025-01-0{1 + n // 4},buy\n" for n in range(12))
    shop.write("events.csv", "user,item,when,event\n" + days.replace("buy\n", "view\n", 1))
    shares = {"validation": 0.3, "test": 0.3}
    entry = shop.prepare(split=shares, duplicates="keep", repeats=True, users=None)
    times = entry.arrays["interactions.time"]
    train, validation, _ = entry.arrays["ends"].tolist()
    assert times[train - 1] < times[train]
    assert times[validation - 1] < times[validation]


def test_the_last_rows_of_each_user_validate_and_test(shop: Shop) -> None:
    entry = shop.prepare(split={"by": "last_per_user"})
    assert entry.arrays["ends"].tolist() == [5, 7, 9]
    found = rows(entry)
    assert {row[:2] for row in found[5:7]} == {(b"ann", b"002"), (b"bob", b"003")}
    assert {row[:2] for row in found[7:]} == {(b"ann", b"003"), (b"bob", b"002")}


def test_parts_may_lie_in_files_of_their_own(shop: Shop) -> None:
    lines = EVENTS.splitlines(keepends=True)
    for name, part in {"train": lines[1:6], "val": lines[6:8], "test": lines[8:]}.items():
        shop.write(f"{name}.csv", lines[0] + "".join(part))
    split = {"by": "files", "validation": "val.csv", "test": "test.csv"}
    assert rows(shop.prepare(interactions="train.csv", split=split)) == rows(shop.prepare())


def test_a_core_is_counted_on_training_rows(shop: Shop) -> None:
    entry = shop.prepare(core={"users": 2, "items": 1})
    assert entry.arrays["ends"].tolist() == [4, 6, 8]  # cat has one training row
    assert "core leaves 4 of 5 training rows" in shop.said


def test_validation_has_the_form_of_the_test(shop: Shop) -> None:
    arrays = shop.prepare(split={"validation": 0.25, "test": 0.25}).arrays
    times = np.split(arrays["interactions.time"], arrays["ends"][:2])
    assert times[0].max() < times[1].min() <= times[1].max() < times[2].min(), "one cut in time"
    arrays = shop.prepare(split={"by": "last_per_user"}).arrays
    _, validation, test = np.split(arrays["interactions.user"], arrays["ends"][:2])
    assert validation.tolist() == test.tolist() == sorted(set(test.tolist())), "one row a user"
    _, validated, tested = np.split(arrays["interactions.time"], arrays["ends"][:2])
    assert (validated < tested).all()


def test_rows_in_no_part_are_counted_by_reason(shop: Shop) -> None:
    more = "eve,001,2025-01-06,buy\nbob,001,2025-01-07,buy\nann,003,2025-01-07,look\n"
    shop.write("events.csv", EVENTS + more)
    entry = shop.prepare(unknown="drop", core={"items": 2})
    assert about(entry)["left_out"] == {"label": 1, "unknown": 1, "duplicates": 1, "core": 1}


@pytest.mark.parametrize("unknown", ["insert", "drop"])
def test_rows_of_users_in_no_table_are_kept_or_left_out(unknown: str, shop: Shop) -> None:
    shop.replace("users.csv", "bob,south,40\n", "")
    entry = shop.prepare(unknown=unknown, users__features={"age": "number"})
    found = {row[0] for row in rows(entry)}
    assert (b"bob" in found) == (unknown == "insert")
    assert any("1 user of 3 rows are not in" in line for line in shop.said)


def test_one_content_has_one_fingerprint_wherever_it_lies(shop: Shop, tmp_path: Any) -> None:
    before = fingerprint_of(shop.described(), shop.folder)
    for name in ("events", "users", "items"):
        shop.write(f"elsewhere/{name}2.csv", (shop.folder / f"{name}.csv").read_bytes())
    moved = shop.described(
        interactions="events2.csv", users__table="users2.csv", items__table="items2.csv"
    )
    assert fingerprint_of(moved, tmp_path / "elsewhere") == before
    assert fingerprint_of(shop.described(repeats=True), shop.folder) != before
    shop.replace("users.csv", "30", "31")
    assert fingerprint_of(shop.described(), shop.folder) != before


def formats(shop: Shop, name: str) -> str | dict[str, str]:
    """The events in another format; what the study file calls them."""
    events = (shop.folder / "events.csv").read_text()
    lines = [line.split(",") for line in events.splitlines()]
    table = pa.table({column: list(values) for column, *values in zip(*lines, strict=True)})
    match name:
        case "semicolons in Latin-1, German dates":
            text = "\n".join(";".join(line) for line in lines)
            for day in range(1, 6):
                for number in (1, 2, 3):
                    text = text.replace(f"2025-0{number}-0{day}", f"0{day}.0{number}.2025")
            shop.write("e.csv", text.encode("latin-1"))
            return {"path": "e.csv", "separator": ";", "encoding": "latin-1"}
        case "tabs, packed":
            shop.write("e.tsv.gz", gzip.compress(events.replace(",", "\t").encode()))
            return "e.tsv.gz"
        case "JSON lines":
            shop.write("e.jsonl", "".join(json.dumps(row) + "\n" for row in table.to_pylist()))
            return "e.jsonl"
        case "several files":
            shop.write("log/a.csv", "".join(events.splitlines(keepends=True)[:5]))
            rest = events.splitlines(keepends=True)
            shop.write("log/b.csv", rest[0] + "".join(rest[5:]))
            return "log/*.csv"
        case _:
            for month in ("01", "02", "03"):
                here = [row for row in table.to_pylist() if row["when"][5:7] == month]
                part = pa.Table.from_pylist(here)
                folder = shop.folder / "parts" / f"month={month}"
                folder.mkdir(parents=True)
                pa.parquet.write_table(part, folder / "part-0.parquet")
            return "parts"


@pytest.mark.parametrize(
    "name",
    [
        "semicolons in Latin-1, German dates",
        "tabs, packed",
        "JSON lines",
        "several files",
        "a folder of Parquet by month",
    ],
)
def test_the_format_does_not_matter(name: str, shop: Shop) -> None:
    for file in ("events.csv", "users.csv"):
        shop.replace(file, "ann", "änn")
    expected = shop.prepare()
    files = formats(shop, name)
    time = {"column": "when", "format": "%d.%m.%Y"} if "German" in name else "when"
    entry = shop.prepare(interactions=files, time=time)
    for key, array in expected.arrays.items():
        if key != "about":
            np.testing.assert_array_equal(entry.arrays[key], array, key)


@pytest.mark.parametrize(
    ("column", "time"),
    [
        (pa.array([0, 86400], pa.int64()), "t"),
        (pa.array([0, 86400000], pa.int64()), {"column": "t", "unit": "ms"}),
        (pa.array([0, 86400 * 10**9], pa.int64()), {"column": "t", "unit": "ns"}),
        (pa.array([0.0, 86400.0]), "t"),
        (pa.array(["0", "86400"]), "t"),
        (pa.array([0, 86400], pa.timestamp("s")), "t"),
        (pa.array([0, 86400 * 10**9], pa.timestamp("ns", "Europe/Berlin")), "t"),
        (pa.array([0, 1], pa.date32()), "t"),
        (pa.array(["1970-01-01", "1970-01-02"]), "t"),
        (pa.array(["1970-01-01T01:00:00+01:00", "1970-01-02 00:00:00Z"]), "t"),
        (
            pa.array(["1970-01-01 01:00", "1970-01-02 01:00"]),
            {"column": "t", "zone": "Europe/Berlin"},
        ),
        (pa.array(["01.01.1970", "02.01.1970"]), {"column": "t", "format": "%d.%m.%Y"}),
        (
            pa.array(["01/Jan/1970 +0000", "02/Jan/1970 +0000"]),
            {"column": "t", "format": "%d/%b/%Y %z"},
        ),
    ],
    ids=str,
)
def test_times_are_microseconds_in_utc(column: pa.Array, time: Any, shop: Shop) -> None:
    table = pa.table({"user": ["u"] * 2, "item": ["i", "j"], "t": column, "event": ["view", "buy"]})
    pa.parquet.write_table(table, shop.folder / "t.parquet")
    described = shop.described(interactions="t.parquet", time=time)
    assert described.time is not None
    frame = read_columns(described.interactions, shop.folder, ["t"])
    assert read_times(frame, described.time).tolist() == [0, 86400 * 10**6]


WHOLE = st.integers(-(2**62), 2**62 - 1)


@hypothesis.given(
    st.lists(st.integers(-9, 9) | st.integers(0, 10**9).map(lambda s: s * 10**6) | WHOLE)
)
def test_rows_are_ordered_as_by_a_stable_sort(keys: list[int]) -> None:
    numbers = np.array(keys, np.int64)
    assert np.array_equal(order_of(numbers), np.argsort(numbers, kind="stable"))


@hypothesis.given(st.lists(st.integers(-9, 9) | WHOLE))
def test_whole_numbers_have_codes_in_their_order_however_far_apart(ids: list[int]) -> None:
    table = pa.table({"id": pa.array(ids, pa.int64())})
    found = read_ids(Frame(table, (Path("f"),), (0,), FilesDescription(path="f")), "id")
    values, codes = np.unique(np.array(ids, np.int64), return_inverse=True)
    assert found.values.to_pylist() == values.tolist()
    assert found.codes.tolist() == codes.tolist()
