"""What the runs of a study carry about the study."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StudyContext:
    """A study as its runs describe it.

    Attributes:
        name: of the study, and of its MLflow experiment.
        spec_text: the study file, kept as the artifact ``study.toml``.
        space_hash: of the search space.
        seed: of the study.
        trials: how many finished trials the study shall have.
        data_name: the data set, such as ``movielens/100k``.
        data_fingerprint: of the prepared data.
        data_source: where the data came from, in words or as an address.
        split: how the rows were divided.
        rows: number of rows by part, such as ``{"train": 70000, "validation": 10000}``; empty
            where they are not known.
        git_commit: of the code; None outside of a repository.
        versions: version by library.
        next_command: what a person would run next, shown in the parent's note.
        identity: what tells this study from another of the same name, such as one in a storage
            that was deleted since: any text kept with the study. Without it the name has to do,
            and a study that starts over would find the runs of its predecessor.
    """

    name: str
    spec_text: str
    space_hash: str
    seed: int
    trials: int
    data_name: str
    data_fingerprint: str
    data_source: str
    split: str
    rows: Mapping[str, int]
    git_commit: str | None
    versions: Mapping[str, str]
    next_command: str
    identity: str = ""

    @property
    def key(self) -> str:
        """The value of the tag ``deeprec.study`` by which the study finds its runs."""
        return self.identity or self.name
