"""``search.describe``: a study file from files, which is read and loads them as they are."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from deeprec.data.dataset import Dataset
from deeprec.events.description import DataDescription
from deeprec.events.loading import load_own
from search import describe
from search.config.reading import load_spec
from search.config.study import StudySpec
from search.execution.data import StudyData, load_data
from search.records.errors import InputError
from tests.faults.in_process import answer, refused

Row = tuple[Any, ...]
KINDS = ("Möbel", "Küche", "Essen")
TABLES: dict[str, tuple[tuple[str, ...], list[Row]]] = {
    "log": (
        ("user", "item", "stars", "time"),
        [
            (
                f"{n % 7:03}",
                f"A-{n * 5 % 11:02}",
                1 + n % 5,
                f"2024-{1 + n // 20:02}-{1 + n % 20:02}",
            )
            for n in range(77)
        ],
    ),
    "users": (
        ("user", "region", "age"),
        [(f"{n:03}", ("Nord", "Süd")[n % 2], None if n == 4 else 20.5 + 3 * n) for n in range(7)],
    ),
    "items": (
        ("item", "name", "price", "kind"),
        [(f"A-{n:02}", f"Tür {n}", 3.25 + n, KINDS[n % 3]) for n in range(11)],
    ),
}


def text_of(name: str, separator: str, shown: Callable[[Any], str] = str) -> str:
    header, rows = TABLES[name]
    lines = [separator.join("" if cell is None else shown(cell) for cell in row) for row in rows]
    return "\n".join([separator.join(header), *lines, ""])


def as_germans_write(cell: Any) -> str:
    if isinstance(cell, float):
        return str(cell).replace(".", ",")
    if isinstance(cell, str) and cell.startswith("2024-"):
        return ".".join(reversed(cell.split("-")))
    return str(cell)


def german(folder: Path) -> list[str]:
    for name in TABLES:
        text = text_of(name, ";", as_germans_write)
        (folder / f"{name}.csv").write_text(text, encoding="latin-1")
    return ["csv", "--separator", ";", "--encoding", "latin-1", "--decimal", ","]


def tabs(folder: Path) -> list[str]:
    for name in TABLES:
        (folder / f"{name}.tsv").write_text(text_of(name, "\t"), encoding="utf-8")
    return ["tsv"]


def json_lines(folder: Path) -> list[str]:
    for name, (header, rows) in TABLES.items():
        lines = [json.dumps(dict(zip(header, row, strict=True))) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return ["jsonl"]


def packed(folder: Path) -> list[str]:
    for name in TABLES:
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text_of(name, ",").encode()))
    return ["csv.gz"]


def partitioned(folder: Path) -> list[str]:
    """The log lies in a folder for each of two months."""
    for name, (header, rows) in TABLES.items():
        table = pa.table({key: [row[at] for row in rows] for at, key in enumerate(header)})
        parts = [table.slice(0, 40), table.slice(40)] if name == "log" else [table]
        for number, part in enumerate(parts):
            path = folder / f"{name}.parquet" / f"month={number}" / "part.parquet"
            path.parent.mkdir(parents=True)
            pa.parquet.write_table(part, path)
    return ["parquet"]


def write(folder: Path, *arguments: str) -> str:
    """The text of the study file that the command writes."""
    done = answer(describe.main, folder, *arguments, "--write", "studies/shop.toml")
    assert not done.code, done.err
    return (folder / "studies" / "shop.toml").read_text(encoding="utf-8")


def spec_in(folder: Path) -> StudySpec:
    return load_spec("shop", folders=[folder / "studies"])


def load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> StudyData:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return load_data(spec_in(folder), None)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """What a description written by hand makes of plain CSV files."""
    folder = tmp_path_factory.mktemp("by-hand")
    for name in TABLES:
        (folder / f"{name}.csv").write_text(text_of(name, ","), encoding="utf-8")
    sides: dict[str, dict[str, Any]] = {
        "users": {"features": {"region": "category", "age": "number"}},
        "items": {
            "title": "name",
            "features": {"name": "text", "price": "number", "kind": "category"},
        },
    }
    described = {
        "interactions": "log.csv",
        "user": "user",
        "item": "item",
        "time": "time",
        "label": {"column": "stars", "range": [1, 5], "relevant": 4},
        **{s: {**sides[s], "table": f"{s}.csv", "id": s[:-1]} for s in sides},
    }
    data = DataDescription.model_validate(described)
    return load_own(data, folder, cache_dir=folder / "cache", announce=lambda _line: None)


@pytest.mark.parametrize("make", [german, tabs, json_lines, packed, partitioned])
def test_files_of_every_format_are_loaded_by_what_is_proposed(
    make: Callable[[Path], list[str]],
    expected: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ending, *flags = make(tmp_path)
    tables = ("--users", f"users.{ending}", "--items", f"items.{ending}")
    write(tmp_path, f"log.{ending}", *tables, *flags)
    data = load(tmp_path, monkeypatch)
    found = data.dataset
    assert [each.decode() for each in found.user_ids[2:]] == [row[0] for row in TABLES["users"][1]]
    assert found.titles[2:] == tuple(row[1] for row in TABLES["items"][1])
    assert found.titles == expected.titles
    assert found.repeats == expected.repeats
    assert len(data.splits.test) == 8
    arrays, by_hand = (
        {**vars(each.interactions), **each.users.columns, **each.movies.columns}
        for each in (found, expected)
    )
    assert arrays.keys() == by_hand.keys()
    for name, array in arrays.items():
        assert np.array_equal(array, by_hand[name]), name


# --- what is written, and what is refused --------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with plain CSV files."""
    for name in TABLES:
        (tmp_path / f"{name}.csv").write_text(text_of(name, ","), encoding="utf-8")
    return tmp_path


def test_without_a_target_columns_are_shown_and_nothing_is_written(files: Path) -> None:
    before = sorted(files.rglob("*"))
    done = answer(describe.main, files, "log.csv", "--items", "items.csv", "--decimal", ",")
    assert not done.code
    assert "log.csv: 77 rows" in done.out
    assert "feature: number" in done.out
    assert "search.describe log.csv --items items.csv --decimal , --write NAME.toml" in done.out
    assert sorted(files.rglob("*")) == before


def test_paths_are_those_from_the_study_file(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = write(files, "./log.csv", "--users", str(files / "users.csv"))
    assert 'interactions = "../log.csv"' in text
    assert f'table = "{files / "users.csv"}"' in text
    monkeypatch.chdir(files.parent)  # where the study is run from does not matter
    data = spec_in(files).data
    assert isinstance(data, DataDescription)
    assert (spec_in(files).folder / data.interactions.path).resolve() == files / "log.csv"


def test_two_columns_that_may_be_the_ids_are_comments_and_one_must_be_chosen(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = files / "log.csv"
    rows = log.read_text().splitlines()
    rows = [f"{row},{row[:3] if n else 'buyer'}" for n, row in enumerate(rows)]
    log.write_text("\n".join(rows).replace("user", "reader"))
    done = answer(describe.main, files, "log.csv", "--write", "studies/shop.toml")
    assert not done.code
    assert "choose 'reader' or 'buyer' as user" in done.out
    path = files / "studies" / "shop.toml"
    text = path.read_text()
    assert '# or: user = "reader"' in text
    assert '# or: user = "buyer"' in text
    with pytest.raises(InputError, match=r"data.*user must .*at least 1 character") as caught:
        spec_in(files)
    assert "\n" not in str(caught.value)
    path.write_text(text.replace('user = ""', 'user = "buyer"', 1))
    assert len(load(files, monkeypatch).dataset.user_ids) == 9


def test_the_k_of_metrics_is_below_the_number_of_items(files: Path) -> None:
    text = write(files, "log.csv")
    assert 'metric = "ndcg@3"' in text
    assert 'also = ["recall@3", "coverage@3"]' in text
    rows = "".join(f"u{n % 50},i{n % 201},5,2024-01-01\n" for n in range(500))
    (files / "log.csv").write_text("user,item,stars,time\n" + rows)
    (files / "studies" / "shop.toml").unlink()
    text = write(files, "log.csv")
    assert 'metric = "ndcg@10"' in text
    assert 'also = ["recall@100", "coverage@100"]' in text


@pytest.mark.parametrize(
    ("seconds", "unit"), [(1.7e9, "s"), (1.7e12, "ms"), (1.7e15, "us"), (1.7e18, "ns")]
)
def test_numbers_since_1970_have_a_unit(files: Path, seconds: float, unit: str) -> None:
    rows = "".join(f"u{n % 5},i{n % 7},{int(seconds) + n}\n" for n in range(50))
    (files / "log.csv").write_text("user,item,timestamp\n" + rows)
    text = write(files, "log.csv")
    assert f'time = {{ column = "timestamp", unit = "{unit}" }}' in text
    assert text.count("half_life = ") == 2, "it is searched, and the start has one"


def test_a_closed_form_is_proposed_where_its_tables_are_not_large(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"u{n % 5},i{n % 7},{n}\n" for n in range(50))
    (files / "log.csv").write_text("user,item,timestamp\n" + rows)
    assert write(files, "log.csv").count("spectral_dimension = ") == 2
    (files / "studies/shop.toml").unlink()
    monkeypatch.setattr("search.commands.describe.MOST_ROWS", 6)
    assert "spectral" not in write(files, "log.csv"), "there are seven items"


def test_both_readings_of_a_date_are_written(files: Path) -> None:
    rows = "".join(f"u{n % 5},i{n % 7},{1 + n % 12}/{1 + n % 9}/2024\n" for n in range(50))
    (files / "log.csv").write_text("user,item,day\n" + rows)
    text = write(files, "log.csv")
    assert 'time = { column = "day", format = "%d/%m/%Y" }' in text
    assert '# or: format = "%m/%d/%Y"' in text


def test_a_log_without_times_is_split_at_random(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f"u{n % 5},i{n * n % 13}\n" for n in range(60))
    (files / "log.csv").write_text("user,item\n" + rows)
    text = write(files, "log.csv")
    assert 'by = "random"' in text
    assert "half_life" not in text, "nothing tells what is old"
    assert "repeats = true" in text
    assert load(files, monkeypatch).dataset.repeats


def test_tags_have_their_separator(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = "".join(f"A-{n:02},a{n};b{n % 3},the thing no {n}\n" for n in range(30))
    (files / "items.csv").write_text("item,tags,words\n" + items)
    text = write(files, "log.csv", "--items", "items.csv")
    assert '# title = "words"  # what people read' in text
    assert '"tags" = { kind = "tags", separator = ";" }' in text
    assert load(files, monkeypatch).dataset.movies.columns["tags"].shape[1] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["log.cvs"], "log.cvs is not there; did you mean log.csv"),
        (["log.csv", "--items", "no.csv"], "no.csv is not there"),
        (["log.csv", "--write", "log.csv"], "--write must be a .toml file but got log.csv"),
        (["log.csv", "--write", "my shop.toml"], "--write must be called as a study may be"),
        (["log.csv", "--write", "there.toml"], "there.toml exists already; name another"),
        (["log.csv", "--write", "log.csv/x.toml"], "log.csv/x.toml cannot be written"),
        (["log.csv", "--separator", ";;"], "separator must"),
        (["log.csv", "--separator", ";"], "log.csv has one column, 'user,item,"),
        (["log.csv", "--decimal", "x"], "decimal must"),
        (["latin.csv"], "latin.csv must be text in the encoding named (utf-8)"),
        (["log.xls", "--write", "new/shop.toml"], "log.xls must end in .csv"),
    ],
    ids=lambda given: " ".join(given)[:40],
)
def test_what_cannot_be_is_refused_in_one_line(
    files: Path, arguments: list[str], message: str
) -> None:
    (files / "there.toml").touch()
    (files / "log.xls").write_text("x")
    (files / "latin.csv").write_bytes("user,item\nä,b\n".encode("latin-1"))
    refused(describe.main, files, *arguments, message=message)


def test_metrics_need_a_k_below_the_number_of_items(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = write(files, "log.csv")
    path = files / "studies" / "shop.toml"
    path.write_text(text.replace("coverage@3", "coverage@11"))
    with pytest.raises(InputError, match="coverage@11 must have a k below the 11 items"):
        load(files, monkeypatch)
