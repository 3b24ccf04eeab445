"""Results that are computed once: kept with the study, found again by whoever asks again."""

from collections.abc import Callable, Mapping
from typing import Any

import optuna

from search.attributes import RESULT


class Ledger:
    """Results by name, each a JSON value, as attributes of a study.

    A process that is killed loses what it was computing and nothing else.

    Args:
        study: as it is stored; held by this process alone while results are computed.
    """

    def __init__(self, study: optuna.Study) -> None:
        self._study = study

    def get(self, name: str) -> Any | None:
        """The result, or None where it was not computed yet."""
        return self._study.user_attrs.get(RESULT + name)

    def starting_with(self, start: str) -> dict[str, Any]:
        """All results whose names begin like this, by the rest of the name."""
        start = RESULT + start
        attributes = self._study.user_attrs
        return {
            name.removeprefix(start): result
            for name, result in attributes.items()
            if name.startswith(start)
        }

    def keep(self, name: str, result: Mapping[str, Any]) -> None:
        """Keeps a result, in the place of an earlier one."""
        self._study.set_user_attr(RESULT + name, dict(result))

    def computed(self, name: str, compute: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The result; it is computed and kept the first time."""
        known = self.get(name)
        if known is None:
            known = dict(compute())
            self.keep(name, known)
        return known
