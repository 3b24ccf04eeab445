"""MovieLens 1M, 20M and 25M, prepared by TFDS from small archives in their formats."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from deeprec.config import DataConfig, DatasetName
from deeprec.data.dataset import Dataset, load_dataset
from deeprec.data.preparation import permutation
from deeprec.data.profiles import OCCUPATIONS
from deeprec.sources import tfds_tables
from deeprec.sources.archive import extract_archive
from deeprec.sources.quiet_tensorflow import import_tfds
from search.config.addresses import PROJECT
from tests.data.published import Published, digest_of, write_release
from tests.tiny_study import tiny_study

NAMES: tuple[DatasetName, ...] = ("movielens/1m", "movielens/20m", "movielens/25m")


@dataclass(frozen=True)
class Loaded:
    """A small archive, loaded once."""

    published: Published
    cache: Path  # it serves all three
    dataset: Dataset
    lines: list[str]  # what was announced

    def load(self, data_dir: Path | None, cache: Path | None = None) -> tuple[Dataset, list[str]]:
        """Loads it again, and tells what was announced."""
        return load(self.published, data_dir, cache or self.cache)


def load(published: Published, data_dir: Path | None, cache: Path) -> tuple[Dataset, list[str]]:
    lines: list[str] = []
    config = DataConfig(dataset=published.release.name)  # type: ignore[arg-type]
    options = {"announce": lines.append, "release": published.release}
    return load_dataset(config, data_dir=data_dir, cache_dir=cache, **options), lines  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module", params=NAMES)
def loaded(
    request: pytest.FixtureRequest, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Loaded:
    published = write_release(request.param, tmp_path_factory.mktemp("published"))
    return Loaded(published, cache, *load(published, published.path, cache))


GOLDEN = {
    "movielens/1m": "b9beef3e1675f1ac7e22a719f5ad5681fe9efdc72a79e748b4e359df91f9b86e",
    "movielens/20m": "f20ccaca271ec15a0507476b33466de42729668dbb17b6b194f80729771279c7",
    "movielens/25m": "f20ccaca271ec15a0507476b33466de42729668dbb17b6b194f80729771279c7",
}


def test_the_prepared_arrays_stay_what_they_are(loaded: Loaded) -> None:
    assert digest_of(loaded.dataset) == GOLDEN[loaded.dataset.name]


# --- what was published comes back ------------------------------------------------------------


def test_every_rating_comes_back_under_its_published_ids(loaded: Loaded) -> None:
    found, release = loaded.dataset.interactions, loaded.published.release
    lowest, highest = release.stars
    rows = zip(
        loaded.dataset.user_ids[found.user_id].tolist(),
        loaded.dataset.movie_ids[found.movie_id].tolist(),
        (found.rating * (highest - lowest) + lowest).round(4).tolist(),
        found.timestamp.tolist(),
        strict=True,
    )
    assert sorted(rows) == sorted(tuple(rating) for rating in loaded.published.ratings)


def test_tables_have_a_row_for_each_published_id(loaded: Loaded) -> None:
    dataset, movies = loaded.dataset, loaded.published.movies
    assert dataset.user_ids.tolist() == list(range(61))
    assert dataset.movie_ids.tolist() == [0, *sorted(movie.id for movie in movies)]
    assert (dataset.users.rows, dataset.movies.rows) == (61, len(movies) + 1)
    titles = dict(zip(dataset.movie_ids.tolist(), dataset.titles, strict=True))
    assert titles == {0: "", **{movie.id: movie.title for movie in movies}}
    unrated = dataset.titles.index(movies[-1].title)
    assert unrated not in dataset.interactions.movie_id
    assert dataset.movies.columns["movie_title"][unrated].any()
    for table in (dataset.users, dataset.movies):
        assert all(not column[0].any() for column in table.columns.values())


def test_genres_and_words_are_those_of_the_movies(loaded: Loaded) -> None:
    table = loaded.published.release.movies_table
    names = import_tfds().builder(table).info.features["movie_genres"].feature.names
    genres = loaded.dataset.movies.columns["movie_genres"]
    for movie in loaded.published.movies:
        row = loaded.dataset.movie_ids.tolist().index(movie.id)
        found = [names[genre - 1] for genre in genres[row] if genre]
        assert found == [genre.replace("Children's", "Children") for genre in movie.genres]
    tokens, titles = loaded.dataset.movies.columns["movie_title"], loaded.dataset.titles
    rows = [row for row, title in enumerate(titles) if "1995" in title]
    common = set.intersection(*(set(tokens[row].tolist()) - {0} for row in rows))
    assert len(common) == 1  # the year
    assert [len(tokens[row].nonzero()[0]) for row in rows] == [len(titles[r].split()) for r in rows]


# --- the schema of a user ---------------------------------------------------------------------


def test_schema_of_a_user(loaded: Loaded) -> None:
    schema = loaded.dataset.users.schema
    found = [(feature.name, feature.kind, feature.vocabulary_size) for feature in schema.features]
    demographics = [
        ("user_gender", "categorical", 2),
        ("bucketized_user_age", "categorical", 7),
        ("user_gender_X_bucketized_user_age", "cross", 48),
        ("user_occupation_label", "categorical", 20),
    ]
    has_users = bool(loaded.published.users)
    assert found == [("user_id", "id", 61), *(demographics if has_users else [])]


def test_users_differ_in_a_feature_exactly_if_they_do_as_published(loaded: Loaded) -> None:
    columns = loaded.dataset.users.columns
    students = (4, 10)  # in college, and in school before: TFDS takes the two together
    said: dict[str, list[object]] = {
        "user_gender": [user.gender for user in loaded.published.users],
        "bucketized_user_age": [user.age for user in loaded.published.users],
        "user_occupation_label": [
            "student" if user.occupation in students else user.occupation
            for user in loaded.published.users
        ],
    }
    for name, published in said.items():
        if name in columns:
            pairs = set(zip(columns[name][1:].tolist(), published, strict=True))
            assert len(pairs) == len(set(published)) == len(set(columns[name][1:]))


def test_cross_tells_every_pair_of_gender_and_age_from_every_other(loaded: Loaded) -> None:
    cross = loaded.dataset.users.columns.get("user_gender_X_bucketized_user_age")
    if cross is not None:
        both = {(user.gender, user.age) for user in loaded.published.users}
        pairs = {
            (user.gender, user.age, int(bucket))
            for user, bucket in zip(loaded.published.users, cross[1:], strict=True)
        }
        assert len(pairs) == len(both) == len(set(cross[1:].tolist())) == 14


# --- the order of the rows --------------------------------------------------------------------


def test_features_of_a_described_user_are_those_in_the_table(loaded: Loaded) -> None:
    profiles = loaded.dataset.profiles
    if not loaded.published.users:
        assert profiles is None
        return
    assert profiles is not None
    raw = tfds_tables.read(loaded.published.release, loaded.cache / "tensorflow_datasets")
    labels = dict(zip(raw.user_id, raw.user_columns["user_occupation_label"], strict=True))
    for user in loaded.published.users:
        answers = {"age": user.age + 1.5, "gender": user.gender}
        answers["occupation"] = OCCUPATIONS[labels[user.id]]
        columns = loaded.dataset.users.columns
        row = {name: int(column[user.id]) for name, column in columns.items()}
        assert {"user_id": user.id, **profiles.features_of(answers)} == row


def test_rows_are_shuffled_as_a_whole_and_always_alike(loaded: Loaded, tmp_path: Path) -> None:
    first = loaded.dataset.interactions
    tables = tfds_tables.read(loaded.published.release, loaded.cache / "tensorflow_datasets")
    order = permutation(len(tables))
    np.testing.assert_array_equal(first.timestamp, tables.timestamp[order])
    assert not np.array_equal(order, np.arange(len(order)))
    assert loaded.dataset.tutorial_order is None


def test_rows_do_not_depend_on_tfds_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = write_release("movielens/20m", tmp_path)
    files = extract_archive(published.path, published.release.archive, tmp_path / "files")
    configs = import_tfds().download
    orders = []
    for shards in (1, 3):
        with monkeypatch.context() as patch:
            one = partial(configs.DownloadConfig, num_shards=shards)
            patch.setattr(configs, "DownloadConfig", one)
            tfds_tables.prepare(published.release, files, tmp_path / str(shards), lambda _: None)
        assert len(list((tmp_path / str(shards)).rglob("*-of-0000?"))) == 2 * shards
        orders.append(tfds_tables.read(published.release, tmp_path / str(shards)).timestamp)
    np.testing.assert_array_equal(orders[0], orders[1])


# --- where it comes from ----------------------------------------------------------------------


def test_preparing_says_what_it_does(loaded: Loaded) -> None:
    title = loaded.published.release.title
    assert loaded.lines[-4:] == [
        f"{title}: preparing the tables with TFDS (about 2 seconds, once)",
        f"{title}: 400 of 400 ratings read; TFDS now sorts and writes them",
        f"{title}: from the {loaded.published.path.name}",
        f"{title}: computing the features (about 10 seconds, once)",
    ]
    assert loaded.dataset.source == loaded.published.path.name


@pytest.fixture
def own_cache(loaded: Loaded, tmp_path: Path) -> Path:
    """A copy of the cache without prepared arrays, as new versions of the libraries find it."""
    copy = shutil.copytree(loaded.cache, tmp_path / "cache")
    shutil.rmtree(copy / "prepared")
    return copy


def test_new_versions_find_the_tables_in_the_cache_alone(loaded: Loaded, own_cache: Path) -> None:
    again, lines = loaded.load(None, own_cache)
    assert f"{loaded.published.release.title}: from the TFDS data directory in the cache" in lines
    assert again.fingerprint == loaded.dataset.fingerprint
    np.testing.assert_array_equal(
        again.interactions.timestamp, loaded.dataset.interactions.timestamp
    )


# --- what is made of it -----------------------------------------------------------------------


@pytest.mark.slow
def test_a_study_is_searched_on_it(tmp_path: Path) -> None:
    # The command is the real one; the small archive is what was published.
    program = """if True:
        import sys
        from pathlib import Path
        from deeprec.sources import releases
        from search.commands.cli import run_command
        from search.run import main
        from tests.data.published import write_csv
        real = releases.MOVIELENS_25M
        published = write_csv(Path("given"), real, rows=31_000, sequels=100)
        releases.RELEASES[real.name] = published.release
        run_command(main)
    """
    (tmp_path / "studies").mkdir()
    study = tiny_study(("[training]", '[data]\ndataset = "movielens/25m"\n\n[training]'))
    (tmp_path / "studies" / "large.toml").write_text(study, encoding="utf-8")
    variables = {"PYTHONPATH": str(PROJECT), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    flags = ("--study", "large", "--data-dir", "given", "--trials", "2")
    child = subprocess.run(
        [sys.executable, "-c", program, *flags],
        cwd=tmp_path,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert child.returncode == 0, child.stderr
    # What is announced while TFDS has standard output to itself comes through.
    assert "MovieLens 25M: 31,000 of 31,000 ratings read" in child.stdout
    assert "MovieLens 25M: from the ml-25m.zip" in child.stdout
    assert "\ntrial 1 " in child.stdout


# --- the environment --------------------------------------------------------------------------


def test_text_in_another_encoding_than_the_files_is_refused(tmp_path: Path) -> None:
    """Published as UTF-8, and read by TFDS in whatever encoding the locale has."""
    program = """if True:
        import sys
        from pathlib import Path
        from deeprec.config import DataConfig
        from deeprec.data.dataset import load_dataset
        from deeprec.errors import DataError
        from tests.data.published import write_release
        folder = Path(sys.argv[1])
        published = write_release("movielens/20m", folder)
        config = DataConfig(dataset="movielens/20m")
        given = dict(data_dir=folder, cache_dir=folder / "cache", release=published.release)
        try:
            load_dataset(config, **given)
        except DataError as error:
            print(error)
    """
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    child = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, **plain, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert child.returncode == 0, child.stderr
    assert "in UTF-8 but this Python reads text as" in child.stdout
    assert "set PYTHONUTF8=1" in child.stdout
