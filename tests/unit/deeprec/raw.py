"""Raw tables of three users and four movies."""

import numpy as np

from deeprec.sources.movielens import Movie, RawTables

USER_OF_RATING = np.array([1, 2, 3, 1, 2, 3], dtype=np.int32)
AGE = np.array([0, 24, 53, 23], dtype=np.float32)
IS_MALE = np.array([False, True, False, True])
OCCUPATION = np.array([0, 18, 11, 21], dtype=np.int64)


def raw_tables() -> RawTables:
    return RawTables(
        user_id=USER_OF_RATING,
        movie_id=np.array([1, 2, 3, 4, 1, 2], dtype=np.int32),
        user_rating=np.array([1, 2, 3, 4, 5, 5], dtype=np.float32),
        timestamp=np.array([30, 10, 20, 60, 50, 40], dtype=np.int64),
        user_columns={
            "raw_user_age": AGE[USER_OF_RATING],
            "user_gender": IS_MALE[USER_OF_RATING],
            "user_occupation_label": OCCUPATION[USER_OF_RATING],
        },
        movies=(
            Movie(4, "Get Shorty (1995)", (0, 2)),
            Movie(1, "Toy Story (1995)", (1,)),
            Movie(3, "Four Rooms (1995)", ()),
            Movie(2, "GoldenEye (1995)", (0, 1, 2)),
        ),
        genre_names=("Action", "Adventure", "Comedy"),
    )
