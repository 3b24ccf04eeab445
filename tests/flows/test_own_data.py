"""A study of one's own data, from its files to titles, through every command."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from search.records.results import reference_title
from tests.commands import Folder
from tests.faults.small_data import keep_programs_in
from tests.flows.serving import Served, serving
from tests.flows.small_shop import ARTICLES, READ, REGIONS, write_shop
from tests.flows.test_bad_input import assert_refused

TABLES = ("--users", "data/kunden.csv", "--items", "data/artikel.csv")
CHEAP = (
    ("# slices = [", "slices = ["),
    ("epochs = 60 ", "epochs = 4 "),
    ("validate_every = 5 ", "validate_every = 2 "),
    ("warmup_epochs = 15", "warmup_epochs = 2"),
    ("low = 1, high = 2 }", "low = 1, high = 1 }"),
    ("low = 32, high = 128", "low = 16, high = 16"),
    ("low = 16, high = 64", "low = 16, high = 16"),
    ("layer_sizes = [64]", "layer_sizes = [16]"),
    ("\nembedding_dimension = 32", "\nembedding_dimension = 16"),
    ("\n[pruner]", "history = { low = 8, high = 8 }\n\n[pruner]"),
    ("l2 = 1e-6\n", "l2 = 1e-6\nhistory = 8\n"),
)
"""What makes the proposed study one of a second a trial, whose towers read histories."""

Done = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("cache-of-the-shop")
    keep_programs_in(home)
    return home


@dataclass(frozen=True)
class Shop:
    """A folder whose study was proposed, searched and confirmed, and what was printed."""

    folder: Folder
    described: Done
    searched: Done
    confirmed: Done


def described(path: Path, cache_home: Path) -> tuple[Folder, Done]:
    folder = Folder(path, study=None, name="shop", cache_home=cache_home)
    write_shop(path / "data")
    done = folder.run(
        "search.describe", "data/käufe.csv", *TABLES, *READ, "--write", "studies/shop.toml"
    )
    assert done.returncode == 0, done.stderr
    folder.change(*CHEAP)
    return folder, done


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Shop:
    folder, proposed = described(tmp_path_factory.mktemp("shop") / "folder", cache_home)
    searched = folder.search("--trials", "2")
    assert searched.returncode == 0, searched.stderr
    confirm = ("search.retrain", "--study", "shop", "--seeds", "2", "--promote")
    confirmed = folder.run(*confirm, "--index-from", "30")
    assert confirmed.returncode == 0, confirmed.stderr
    return Shop(folder, proposed, searched, confirmed)


def test_what_is_proposed_is_searched_as_it_is(shop: Shop) -> None:
    assert "search:  " in shop.described.stdout
    lines = shop.searched.stdout.splitlines()
    said = " ".join(shop.searched.stdout.split())
    for reference in ("popularity", "popular lately", "own history", "EASE", "item kNN", "iALS"):
        assert reference in said, "the verdict names all"
    shown = [line for line in lines if re.fullmatch(r"[A-Za-z ]+ +0\.\d{4} *", line)]
    assert len(shown) == 3, "the hardest"
    assert "nDCG@10 0." in shop.searched.stdout
    assert "movie" not in shop.searched.stdout + shop.confirmed.stdout


def test_mlflow_has_the_metrics_and_parameters_of_the_study(shop: Shop) -> None:
    for run in shop.folder.runs("trial"):
        known = set(run.data.metrics)
        assert {"val_ndcg_at_10", "val_recall_at_10", "best_val_ndcg_at_10"} <= known
        assert run.data.params["layer_sizes"] == "(16,)"
        assert {"temperature", "dropout", "l2"} <= set(run.data.params)
    names = {run.data.tags["deeprec.reference_name"] for run in shop.folder.runs("reference")}
    assert {"popularity", "recent_popularity", "own_frequent", "ease"} <= names
    tested = shop.folder.runs("retrain")
    assert len(tested) == 2
    assert all("test_ndcg_at_10" in run.data.metrics for run in tested)
    note = tested[0].data.tags["mlflow.note.content"]
    assert "python -m search.recommend USER --study shop" in note


def test_the_test_is_measured_by_parts_of_the_users_and_items_too(shop: Shop) -> None:
    parts = {f"region:{name}" for name in ("Süd", "Nord", "West")} | {"least_active_users"}
    for kind in ("retrain", "reference"):
        for run in shop.folder.runs(kind):
            assert {f"test_ndcg_at_10_{part}" for part in parts} <= set(run.data.metrics)
    done = shop.folder.run("search.report", "--study", "shop", "--json")
    slices = {each["name"]: each for each in json.loads(done.stdout)["slices"]}
    assert parts <= set(slices)
    assert slices["region:Nord"]["users"] <= 16, "a third of the customers is in the north"
    assert "Too few users to say anything of:" in shop.confirmed.stdout


def test_the_champion_is_a_model_of_the_studys_name(shop: Shop) -> None:
    assert "Version 1 of shop is the champion" in shop.confirmed.stdout
    model = shop.folder.client.get_registered_model("shop")
    assert {alias: str(version) for alias, version in model.aliases.items()} == {"champion": "1"}
    assert "search.recommend USER --study shop" in str(model.description)


def test_what_its_index_finds_is_said_where_its_tests_are(shop: Shop) -> None:
    said = "Served, it answers from an index, which finds"
    assert shop.confirmed.stdout.count(said) == 1
    first = next(run for run in shop.folder.runs("retrain") if "index" in str(run.data.metrics))
    assert 0.95 <= first.data.metrics["index_recall_at_10"] <= 1
    assert said in first.data.tags["mlflow.note.content"]
    done = shop.folder.run("search.report", "--study", "shop", "--json")
    [tested] = json.loads(done.stdout)["tested"]
    names = {"index_recall_at_10", "index_milliseconds", "exact_milliseconds"}
    assert {name: first.data.metrics[name] for name in names} == tested["index"]
    page = shop.folder.path / "studies" / "shop" / "report.html"
    assert said in page.read_text(encoding="utf-8")
    [kept] = (shop.folder.path / "studies" / "shop").glob("confirmed-*/index.usearch")
    assert kept.stat().st_size > 0


# --- recommended -------------------------------------------------------------------------------


def recommend(shop: Shop, *arguments: str) -> Done:
    return shop.folder.run("search.recommend", *arguments, "--study", "shop")


def test_a_known_customer_is_shown_titles_and_what_was_liked(shop: Shop) -> None:
    done = recommend(shop, "00007", "--k", "3")
    assert done.returncode == 0, done.stderr
    recommended, liked = done.stdout.split("liked by user 00007")
    assert len(re.findall(r"Tür \d+", recommended)) == 3
    assert re.search(r"Tür \d+", liked)


def test_an_unknown_customer_is_described_by_features(shop: Shop) -> None:
    done = recommend(shop, "99999", "--set", "region=Süd", "--set", "alter=30.5", "--k", "4")
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"Tür \d+", done.stdout)) == 4
    assert "user 99999 is not known to this model: recommended by region, alter" in done.stdout
    assert "training knows no" not in done.stdout + done.stderr
    misspelled = recommend(shop, "--set", "region=Sud")
    assert misspelled.returncode == 0
    assert "training knows no region 'Sud'" in misspelled.stdout + misspelled.stderr


def test_an_unknown_customer_is_described_by_what_is_liked(shop: Shop) -> None:
    one = recommend(shop, "--liked", "tür 3", "--liked", "A-006", "--k", "4")
    assert one.returncode == 0, one.stderr
    assert len(re.findall(r"Tür \d+", one.stdout)) == 4
    assert recommend(shop, "--liked", "Tür 4", "--k", "4").stdout != one.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--liked", "Tür"], "titles of items but got 'Tür'; close to it: 'Tür 0', 'Tür 1', 'Tür"),
        (["99999"], "(such as 00001, 00002, 00003) but got 99999; an unknown one needs a value of"),
        (["--set", "town=Ulm"], "there is no feature 'town'; there are region, alter"),
        (["--set", "alter=old"], "alter must be a number but got 'old'"),
        (["--set", "region"], "--set must be FEATURE=VALUE but got 'region'"),
        ([], "give a USER, or --set FEATURE=VALUE, or --liked, of an unknown one"),
        (["--age", "30"], "there is no feature 'age'; there are region, alter"),
    ],
    ids=lambda given: " ".join(given)[:30],
)
def test_a_question_without_an_answer_is_refused(
    shop: Shop, arguments: list[str], message: str
) -> None:
    assert_refused(shop.folder, "search.recommend", *arguments, "--study", "shop", message=message)


def test_all_customers_are_recommended_to_from_a_part_of_the_articles(shop: Shop) -> None:
    out = shop.folder.path.parent / "recommended.csv"
    done = recommend(shop, "--all", "--where", "gruppe=Küche", "--k", "2", "--out", str(out))
    assert done.returncode == 0, done.stderr
    lines = [
        line.split(",") for line in out.read_text(encoding="utf-8").replace('"', "").splitlines()
    ]
    assert lines[0] == ["user_id", "rank", "item_id", "title", "score", "row"]
    assert len({line[0] for line in lines[1:]}) == 48
    assert {int(line[2].removeprefix("A-")) % 3 for line in lines[1:]} == {1}, "kitchens"


@pytest.fixture(scope="module")
def served(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    empty = tmp_path_factory.mktemp("served-shop")
    with serving(empty, shop.folder.path / "mlruns", "--study", "shop") as server:
        yield server


def test_ids_of_the_shop_go_in_and_come_out(served: Served) -> None:
    status, rows = served.ask({"user_id": "00007", "k": 2}, {"region": "Nord", "k": 1})
    assert status == 200
    columns = ("user_id", "rank", "item_id", "title", "score", "row", "known_user", "error")
    assert [tuple(row) for row in rows] == [columns] * 3
    assert [(row["user_id"], row["row"], row["rank"]) for row in rows] == [
        ("00007", 0, 1), ("00007", 0, 2), (None, 1, 1),
    ]  # fmt: skip
    for row in rows:
        assert row["title"] == f"Tür {int(row['item_id'].removeprefix('A-'))}"


def test_a_wrong_request_is_refused(served: Served) -> None:
    for row, reason in (
        ({"user_id": "99999"}, "user must be one of the 48 of käufe.csv"),
        ({"alter": "old"}, "alter must be a number but got 'old'"),
        ({"town": "Ulm"}, "a request needs a row with some of user_id, k, liked, region, alter"),
    ):
        status, message = served.ask(row)
        assert status == 400, row
        assert reason in message


# --- again, and elsewhere ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["trial", "retrain"])
def test_what_was_trained_comes_out_again(shop: Shop, kind: str) -> None:
    run = shop.folder.runs(kind)[0]
    done = shop.folder.run("search.reproduce", run.info.run_id)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Reproduced: every number is the same." in done.stdout
    assert ("test_ndcg_at_10_most_active_users" in done.stdout) == (kind == "retrain")


def test_the_report_names_the_metric_and_the_references(shop: Shop) -> None:
    done = shop.folder.run("search.report", "--study", "shop", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["study"]["objective"] == "val_ndcg_at_10"
    page = (shop.folder.path / "studies" / "shop" / "report.html").read_text(encoding="utf-8")
    words = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    hardest = max(facts["references"], key=lambda each: each["metrics"]["val_ndcg_at_10"])
    assert reference_title(hardest["name"]) in words.split("finished trials")[0]
    for word in ("nDCG@10", "popular lately", "own history", "käufe.csv"):
        assert word in words, word
    for word in ("movie", "MovieLens", "top-100", "rated", "stars", "accuracy", "Accuracy"):
        assert word not in words, word


def test_moved_elsewhere_the_search_goes_on_until_its_files_change(
    shop: Shop, tmp_path: Path
) -> None:
    moved = shop.folder.copy(tmp_path / "elsewhere")
    done = moved.search("--trials", "3")
    assert done.returncode == 0, done.stderr
    assert [trial.number for trial in moved.trials] == [0, 1, 2]
    assert [trial.value for trial in moved.trials[:2]] == [
        trial.value for trial in shop.folder.trials
    ]
    log = moved.path / "data" / "käufe.csv"
    with log.open("a", encoding="latin-1") as file:
        file.write("00001;A-001;9;01.12.2024 08:00\n")
    refused = moved.search("--trials", "4")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "data" in refused.stderr
    assert len(moved.trials) == 3


# --- newer data ---------------------------------------------------------------------------------


NEW = range(48, 648)  # customers


def add_rows(folder: Folder, year: int, rows: int, customers: range) -> None:
    """Adds what customers buy, one a quarter of an hour: each article of the kind they like."""
    data, random = folder.path / "data", np.random.default_rng(5)
    known = (data / "kunden.csv").read_text(encoding="latin-1")
    if "00049" not in known:
        lines = (f"{n + 1:05};{REGIONS[n % 3]};31,5\n" for n in NEW)
        (data / "kunden.csv").write_text(known + "".join(lines), encoding="latin-1")
    wanted = {n: random.permutation(range(n % 3, 30, 3)) for n in customers}
    start = datetime(year, 3, 1, 8)
    with (data / "käufe.csv").open("a", encoding="latin-1") as file:
        for row in range(rows):
            customer, article = customers[row % len(customers)], row // len(customers)
            when = start + timedelta(minutes=15 * row)
            bought = wanted[customer][article % len(wanted[customer])]
            file.write(f"{customer + 1:05};A-{bought:03};9;{when:%d.%m.%Y %H:%M}\n")


@pytest.mark.storm
def test_the_champion_is_refreshed_on_newer_rows_that_it_has_not_seen(
    shop: Shop, tmp_path: Path
) -> None:
    grown = shop.folder.copy(tmp_path / "grown")
    command = ("search.retrain", "--study", "shop", "--since-champion")
    very_data = "was tested on the very data that study shop names; add newer rows to it first"
    assert_refused(grown, *command, message=very_data)
    add_rows(grown, 2023, 400, range(48))  # late ones: the newest tenth begins earlier than it did
    assert_refused(grown, *command, message="and the test rows begin on 2024-")
    add_rows(grown, 2025, 10 * len(NEW), NEW)
    done = grown.run(*command, "--seeds", "2")
    assert done.returncode == 0, done.stderr
    assert re.search(r"the champion, version 1 +0\.\d{4} *\n", done.stdout)
    assert re.search(r"trial \d \(16,\), trained anew +0\.\d{4} ± 0\.\d{4}", done.stdout)
    assert "Version 2 of shop is the champion: mean test nDCG@10" in done.stdout
    assert "better by more than the noise" in done.stdout
    runs = grown.runs("refresh")
    assert len(runs) == 2
    assert grown.run("search.recommend", "00049", "--study", "shop").returncode == 0
    again = grown.run(*command, "--seeds", "2")
    assert again.returncode == 2, "the champion was tested on these"
    assert [run.info.run_id for run in grown.runs("refresh")] == [run.info.run_id for run in runs]
    assert len(grown.runs("retrain")) == 2, "what was confirmed stays"


# --- bad files ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, cache_home: Path) -> Folder:
    """A study that was proposed and not begun: what is refused writes nothing."""
    return described(tmp_path_factory.mktemp("bad") / "folder", cache_home)[0]


BAD = [
    ("käufe", "00002;", ";", "the column 'kunde' must have an id in every row"),
    ("käufe", "kunde;artikel", "kunde;article", "has no column 'artikel'; did you mean 'article'"),
    ("käufe", " 08:", " 25:", "change time.format"),
    ("kunden", "00003;West", "00003;West;x", "kunden.csv, line 4 has 4 columns, the header has 3"),
    ("kunden", "20,5", "young", "kunden.csv, row 2: the column 'alter' must hold numbers"),
    ("artikel", "A-001;", "A-000;", "'artikel' must name every item once but 'A-000' has 2 rows"),
]


@pytest.mark.parametrize(("name", "old", "new", "message"), BAD, ids=lambda given: given[:20])
def test_a_bad_file_is_refused_before_any_work(
    untouched: Folder, name: str, old: str, new: str, message: str
) -> None:
    path = untouched.path / "data" / f"{name}.csv"
    good = path.read_text(encoding="latin-1")
    assert old in good
    try:
        path.write_text(good.replace(old, new, 1), encoding="latin-1")
        assert_refused(untouched, "search.run", "--study", "shop", message=message)
    finally:
        path.write_text(good, encoding="latin-1")
    assert not (untouched.path / "mlruns").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("käufe.csv", "kaeufe.csv", "is not there"),
        ('encoding = "latin-1", ', "", "must be text in the encoding named (utf-8)"),
        ("range = [1.0, 10.0]", "range = [1.0, 5.0]", "must lie in 1 to 5"),
        ("coverage@10", f"coverage@{ARTICLES}", f"must have a k below the {ARTICLES} items"),
        (
            '"region" = "category"',
            'region = { kind = "category", column = "town" }',
            "has no column 'town'",
        ),
    ],
    ids=lambda given: given[:20],
)
def test_a_study_file_that_does_not_fit_its_files_is_refused_before_any_work(
    untouched: Folder, old: str, new: str, message: str
) -> None:
    good = untouched.study_file.read_text(encoding="utf-8")
    try:
        untouched.change((old, new))
        assert_refused(untouched, "search.run", "--study", "shop", message=message)
    finally:
        untouched.study_file.write_text(good, encoding="utf-8")
    assert not (untouched.path / "mlruns").exists()
