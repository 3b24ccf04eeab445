"""What columns of files are proposed for, and why: by their names, their types, their values."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from deeprec.errors import DataError
from deeprec.events import proposing
from deeprec.events.description import FilesDescription
from deeprec.events.files import read_columns
from deeprec.events.proposing import Profile, ProposedStudy, ProposedTable, profile, propose
from tests.unit.deeprec.events.shop import EVENTS, Shop


def proposed(folder: Path, *, users: str | None = "users.csv", **options: Any) -> ProposedStudy:
    log, of_users, of_items = (
        FilesDescription.model_validate({"path": path, **options}) if path else None
        for path in ("events.csv", users, "items.csv")
    )
    assert log is not None
    return propose(log, folder, users=of_users, items=of_items)


def roles(table: ProposedTable | None) -> dict[str, str]:
    assert table is not None
    return {
        each.column.name: each.kind if each.role == "feature" and each.kind else each.role
        for each in table.proposals
    }


def test_every_column_has_a_role(shop: Shop) -> None:
    study = proposed(shop.folder)
    assert roles(study.log) == {"user": "user", "item": "item", "when": "time", "event": "label"}
    assert roles(study.users) == {"id": "id", "region": "category", "age": "category"}
    assert roles(study.items) == {
        "sku": "id",
        "name": "title",
        "price": "number",
        "tags": "category",
    }
    assert study.problems == ()


@pytest.mark.parametrize(
    ("header", "of_users", "why"),
    [
        ("id,sku,when,event", "id,region,age", "the table's id"),
        ("whose,what,when,event", "id,region,age", "the table has its values"),
        ("client,article,when,event", "id,region,age", "its name, and its values come again"),
    ],
)
def test_ids_are_known_by_a_shared_name_then_by_their_name_then_by_their_values(
    shop: Shop, header: str, of_users: str, why: str
) -> None:
    shop.replace("events.csv", "user,item,when,event", header)
    shop.replace("users.csv", "id,region,age", of_users)
    study = proposed(shop.folder)
    user, item = header.split(",")[:2]
    [found] = study.log.of_role("user")
    assert (found.column.name, found.why) == (user, why)
    assert [each.column.name for each in study.log.of_role("item")] == [item]
    for table, key in ((study.users, "id"), (study.items, "sku")):
        assert table is not None
        assert [each.column.name for each in table.of_role("id")] == [key]


def test_the_name_of_an_id_goes_before_other_names_of_a_user(shop: Shop) -> None:
    shop.replace("events.csv", "user,item,when,event", "user_name,item,when,user_id")
    study = proposed(shop.folder, users=None)
    assert [each.column.name for each in study.log.of_role("user")] == ["user_id"]


def test_of_two_columns_that_may_be_the_ids_none_is_chosen(shop: Shop) -> None:
    shop.replace("events.csv", "user,item,when,event", "buyer,item,when,reader")
    study = proposed(shop.folder, users=None)
    assert [each.column.name for each in study.log.of_role("user")] == ["buyer", "reader"]
    assert study.problems == (
        "choose 'buyer' or 'reader' as user: the column with the ids of users",
    )
    assert study.repeated == 0.0


def test_a_column_of_no_name_is_left_to_be_chosen(shop: Shop) -> None:
    shop.replace("events.csv", "user,item,when,event", "a,b,when,c")
    shop.write("items.csv", "sku,name\nx,y\nz,w\n")
    study = proposed(shop.folder, users=None)
    assert len(study.problems) == 2
    assert study.problems[0].startswith("choose which column as user")


def test_an_id_that_is_missing_in_some_rows_is_still_the_id(shop: Shop) -> None:
    shop.replace("events.csv", "bob,001", ",001")
    assert roles(proposed(shop.folder).log)["user"] == "user"


def test_rows_that_repeat_a_users_item_are_counted(shop: Shop) -> None:
    assert proposed(shop.folder).repeated == 0.0
    shop.replace("events.csv", "ann,002,2025-01-02", "ann,001,2025-01-02")
    assert proposed(shop.folder).repeated == pytest.approx(1 / 9)


def test_only_items_have_titles_and_what_is_unique_says_no_more_than_the_id(shop: Shop) -> None:
    names = "".join(f"u{n},Given Family{n},c{n},{n % 2}\n" for n in range(30))
    shop.write("users.csv", f"id,name,code,region\nann,A B,x,0\n{names}")
    assert roles(proposed(shop.folder).users) == {
        "id": "id",
        "name": "text",
        "code": "left out",
        "region": "category",
    }


def test_a_log_without_rows_is_refused(shop: Shop) -> None:
    shop.write("events.csv", "user,item\n")
    with pytest.raises(DataError, match="events.csv has no rows"):
        proposed(shop.folder)


# --- one column --------------------------------------------------------------------------------


def of_text(folder: Path, values: list[str], **options: Any) -> Profile:
    (folder / "c.csv").write_text("x;y\n" + "".join(f"{v};1\n" for v in values))
    described = FilesDescription(path="c.csv", separator=";", **options)
    return profile(read_columns(described, folder, None), "x")


@pytest.mark.parametrize(
    ("values", "type_", "ends"),
    [
        (["3", "20", ""], "whole numbers", ("3", "20")),
        (["3.5", "1e2"], "numbers", ("3.5", "100")),
        (["007", "010"], "text", ("", "")),
        (["3,5", "4,0"], "text", ("", "")),
        (["2024-02-01", "2024-01-03T08:00"], "times", ("2024-01-03T08:00", "2024-02-01")),
        (["red", "blue"], "text", ("", "")),
    ],
)
def test_text_of_a_csv_file_may_be_numbers_or_times(
    tmp_path: Path, values: list[str], type_: str, ends: tuple[str, str]
) -> None:
    found = of_text(tmp_path, values)
    assert (found.type, (found.low, found.high)) == (type_, ends)
    assert found.nulls == values.count("")


def test_fractions_may_be_written_with_a_comma(tmp_path: Path) -> None:
    found = of_text(tmp_path, ["3,5", "10", "4,25"], decimal=",")
    assert (found.type, found.low, found.high) == ("numbers", "3.5", "10")


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["31.12.2024 23:59", "01.02.2024 08:00"], ("%d.%m.%Y %H:%M",)),
        (["12/31/2024", "1/2/2024"], ("%m/%d/%Y",)),
        (["1/2/2024", "3/4/2024"], ("%d/%m/%Y", "%m/%d/%Y")),
        (["1/2/2024", "13/13/2024"], ()),
    ],
)
def test_dates_have_the_formats_that_all_values_fit(
    tmp_path: Path, values: list[str], formats: tuple[str, ...]
) -> None:
    found = of_text(tmp_path, values)
    assert found.formats == formats
    assert found.type == ("times" if formats else "text")


def test_tags_and_words_are_told_from_categories(tmp_path: Path) -> None:
    assert of_text(tmp_path, ["a|b", "c", "b|d"]).tags == "|"
    assert of_text(tmp_path, ["a b c d e", "one two three four five"]).words == 5


def test_columns_of_parquet_have_types_of_their_own(tmp_path: Path) -> None:
    columns = {
        "lists": [["a"], ["b", "c"]],
        "true or false": [True, False],
        "whole numbers": [1, 2],
        "numbers": [0.5, 1.5],
        "other": [b"x", b"y"],
    }
    pa.parquet.write_table(pa.table(columns), tmp_path / "c.parquet")
    frame = read_columns(FilesDescription(path="c.parquet"), tmp_path, None)
    for name in columns:
        assert profile(frame, name).type == name
    assert profile(frame, "lists").tags == "list"


def test_the_range_of_a_label_is_that_of_all_rows(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proposing, "LOOKED_AT", 4)
    log = EVENTS.replace("buy", "3").replace("view", "1")
    shop.write("events.csv", log.replace("dan,003,2025-03-02,3", "ann,003,2025-03-02,5"))
    [label] = proposed(shop.folder).log.of_role("label")
    assert (label.column.rows, label.column.low, label.column.high) == (4, "1", "5")
