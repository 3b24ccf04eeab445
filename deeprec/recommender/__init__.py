"""A trained model that recommends without the data set."""

from deeprec.recommender.recommender import (
    ARRAYS_FILE,
    CATALOG_FILE,
    FILES,
    QUERY_FILE,
    Liked,
    Recommended,
    Recommender,
    Request,
)

__all__ = [
    "ARRAYS_FILE",
    "CATALOG_FILE",
    "FILES",
    "QUERY_FILE",
    "Liked",
    "Recommended",
    "Recommender",
    "Request",
]
