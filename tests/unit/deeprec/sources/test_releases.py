"""The published data sets: each one value, in agreement with what TFDS says of it."""

import re
from typing import get_args

import pytest

from deeprec.config import DatasetName
from deeprec.data.preparation import fingerprint_of
from deeprec.sources.quiet_tensorflow import import_tfds
from deeprec.sources.releases import MOVIELENS_1M, MOVIELENS_100K, RELEASES, Release

EACH = pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)


def test_every_name_of_a_configuration_is_known_and_no_other() -> None:
    assert tuple(RELEASES) == get_args(DatasetName)


def test_tables_are_named_as_tfds_names_them() -> None:
    configs = {config.name for config in import_tfds().builder_cls("movielens").BUILDER_CONFIGS}
    for release in RELEASES.values():
        for table in (release.ratings_table, release.movies_table):
            assert table.removeprefix("movielens/") in configs


@EACH
def test_counts_are_those_that_tfds_tells(release: Release) -> None:
    configs = {c.name: c for c in import_tfds().builder_cls("movielens").BUILDER_CONFIGS}
    described = configs[release.ratings_table.removeprefix("movielens/")].description
    numbers = {int(text.replace(",", "")) for text in re.findall(r"\d[\d,]*\d", described)}
    assert {release.rating_count, release.user_count} <= numbers
    # Of 1M it says "approximately 3,900 movies".
    assert release.movie_count in numbers or release is MOVIELENS_1M


def test_only_the_smallest_is_known_by_its_tables() -> None:
    assert MOVIELENS_100K.identity == MOVIELENS_100K.raw_sha256
    for release in RELEASES.values():
        if release is not MOVIELENS_100K:
            assert release.identity == release.archive.archive.sha256


def test_every_release_and_identity_has_a_fingerprint_of_its_own() -> None:
    fingerprints = {
        fingerprint_of(release, identity)
        for release in RELEASES.values()
        for identity in (release.identity, "0" * 64)
    }
    # Releases with one recipe differ by their identity alone: 20M and 25M share their second.
    assert len(fingerprints) == 2 * len(RELEASES) - 1
