"""Where the workers of a search run: beside it, on cards of its machine, on nodes of a cluster."""

import re
from dataclasses import dataclass
from typing import Self

from search.records.errors import InputError

LOCAL = "local"  # the cluster that Ray makes of this machine alone

_CARD = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What the command line says of it, checked."""

    cluster: str | None = None  # the address of Ray's, or ``local``; None without Ray
    cpus: int = 1  # of each worker on a cluster
    gpus: float = 0.0  # of each worker on a cluster: cards, or a share of one
    cards: tuple[str, ...] = ()  # of this machine, for workers without a cluster
    per_card: int = 1  # so many workers share each of them

    @classmethod
    def of(
        cls,
        *,
        cluster: str | None = None,
        worker_cpus: int | None = None,
        worker_gpus: float | None = None,
        gpus: str | None = None,
        per_gpu: int | None = None,
    ) -> Self:
        """The placement that flags ask for; InputError where they do not go together."""
        if cluster is None and (worker_cpus is not None or worker_gpus is not None):
            raise InputError(
                "--worker-cpus and --worker-gpus are for --cluster; without it workers share the "
                "cores of this machine, and --gpus names its cards"
            )
        if cluster is not None and gpus is not None:
            raise InputError("--gpus names cards of this machine; with --cluster, --worker-gpus")
        if gpus is None and per_gpu is not None:
            raise InputError("--per-gpu must come with --gpus, such as --gpus 0,1 --per-gpu 2")
        share = worker_gpus or 0.0
        if share < 0 or (share > 1 and not share.is_integer()):
            raise InputError(
                f"--worker-gpus must be a share of a card, such as 0.25, or whole cards but got "
                f"{share:g}"
            )
        cards = tuple(gpus.split(",")) if gpus is not None else ()
        if not all(map(_CARD.fullmatch, cards)) or len(set(cards)) < len(cards):
            raise InputError(f"--gpus must name different cards, such as 0,1, but got {gpus!r}")
        return cls(
            cluster=cluster,
            cpus=worker_cpus or 1,
            gpus=share,
            cards=cards,
            per_card=per_gpu or 1,
        )

    @property
    def is_remote(self) -> bool:
        """Whether workers may be on other machines."""
        return self.cluster not in (None, LOCAL)

    @property
    def flags(self) -> dict[str, object]:
        """The flags that ask for it, None where they are not needed."""
        own = self.cluster is not None
        return {
            "--cluster": self.cluster,
            "--worker-cpus": self.cpus if own and self.cpus > 1 else None,
            "--worker-gpus": f"{self.gpus:g}" if own and self.gpus else None,
            "--gpus": ",".join(self.cards) or None,
            "--per-gpu": self.per_card if self.per_card > 1 else None,
        }


HERE = Placement()
