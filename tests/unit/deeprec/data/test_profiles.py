"""From age, gender and occupation to the features of an unknown user."""

import math
from typing import Any

import pytest

from deeprec.data.profiles import OCCUPATIONS, PUBLISHED, ProfileEncoder
from deeprec.errors import RequestError
from tests.tiny_recommender import ENCODINGS

Said = dict[str, Any]


def said(age: Any = None, gender: str | None = None, occupation: str | None = None) -> Said:
    given = {"age": age, "gender": gender, "occupation": occupation}
    return {name: value for name, value in given.items() if value is not None}


ENCODER = ProfileEncoder(ENCODINGS)
OF_1M = ProfileEncoder(
    ({"name": "bucketized_user_age", "kind": "categorical", "values": [25, 1, 56, 18]},)
)


def test_all_that_the_data_set_knows_is_asked() -> None:
    assert ENCODER.questions == ("age", "gender", "occupation")
    assert OF_1M.questions == ("age",)


@pytest.mark.parametrize(
    ("profile", "gender", "age", "cross", "occupation"),
    [
        (said(24.9, "M", "student"), 0, 0, 4, 0),
        (said(25, "M", "writer"), 0, 1, 3, 1),
        (said(39.9, "F", "technician/engineer"), 1, 1, 2, 2),
        (said(40, "F", "student"), 1, 2, 4, 0),
    ],
)
def test_features_follow_from_what_was_learned(
    profile: Said, gender: int, age: int, cross: int, occupation: int
) -> None:
    assert ENCODER.features_of(profile) == {
        "user_gender": gender,
        "raw_user_age": age,
        "user_gender_X_raw_user_age": cross,
        "user_occupation_label": occupation,
    }


@pytest.mark.parametrize(
    ("age", "index"), [(1, 1), (17, 1), (18, 3), (24, 3), (25, 0), (55, 0), (56, 2), (99, 2)]
)
def test_ages_published_as_ranges_are_named_by_their_youngest(age: float, index: int) -> None:
    assert OF_1M.features_of(said(age)) == {"bucketized_user_age": index}


@pytest.mark.parametrize("occupation", ["engineer", "Technician", " technician/engineer "])
def test_an_occupation_may_be_named_by_one_of_its_parts(occupation: str) -> None:
    assert ENCODER.features_of(said(30, "f", occupation))["user_occupation_label"] == 2


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (said(30, "F"), "needs age, gender, occupation; occupation is missing"),
        (said(30), "gender, occupation is missing"),
        (
            said(30, "F", "wizard"),
            "one of student, technician/engineer, writer but got 'wizard'",
        ),
        (said(30, "F", "lawyer"), "but got 'lawyer'"),  # TFDS knows it; no user here is one
        (said(30, "", "writer"), "gender must be one of F, M but got ''"),
        (said("old", "F", "writer"), "age must be a number but got 'old'"),
        (said(True, "F", "writer"), "age must be a number but got True"),
        ({**said(30, "F", "writer"), "town": "Ulm"}, "there is no feature 'town'; there are age, "),
        (said(0, "F", "writer"), "age must lie in 1 to 130 but got 0"),
        *((said(age, "F", "writer"), f"but got {age}") for age in (131, math.nan, math.inf)),
    ],
)
def test_what_the_data_lacks_is_refused_with_what_it_has(profile: Said, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        ENCODER.features_of(profile)


BY_LABEL = {
    "clerical/admin": "administrator Administrator", "artist": "artist",
    "doctor/health care": "doctor healthcare", "academic/educator": "educator",
    "technician/engineer": "engineer technician", "entertainment": "entertainment",
    "executive/managerial": "executive", "homemaker": "homemaker", "lawyer": "lawyer",
    "librarian": "librarian", "sales/marketing": "marketing salesman", "retired": "retired",
    "other/not specified": "none other", "programmer": "programmer", "scientist": "scientist",
    "student": "student K-12+student college/grad+student", "writer": "writer",
}  # fmt: skip
"""Those of ``u.occupation`` of 100K by TFDS's own conversion, then those of 1M's README."""


@pytest.mark.parametrize(("label", "published"), BY_LABEL.items())
def test_occupations_are_known_as_movielens_publishes_them(label: str, published: str) -> None:
    labels = list(range(len(OCCUPATIONS)))
    encoder = ProfileEncoder(
        ({"name": "user_occupation_label", "kind": "categorical", "values": labels},)
    )
    for name in published.split():
        features = encoder.features_of(said(occupation=name.replace("+", " ")))
        assert features["user_occupation_label"] == OCCUPATIONS.index(label)


def test_no_part_of_an_occupation_names_two() -> None:
    parts = [part.casefold() for name in OCCUPATIONS for part in name.split("/")]
    parts += [name for name in PUBLISHED if PUBLISHED[name] in OCCUPATIONS]
    assert parts[-len(PUBLISHED) :] == list(PUBLISHED)
    assert len(set(parts)) == len(parts)
