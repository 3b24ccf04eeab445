"""Which items are shown, by their scores: ranked where JAX computes, each title once."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from deeprec.data.tables import IntArray


def rows_by_title(titles: Sequence[str]) -> IntArray:
    """The rows of the movies that share a title with another one, int32 ``[titles, most]``.

    MovieLens lists some movies under two ids; to people they are one. Movies without a title
    share none. What is left of a line is filled with the number of all rows.
    """
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, title in enumerate(titles):
        rows[title].append(row)
    same = [own for title, own in rows.items() if title and len(own) > 1]
    most = max(map(len, same), default=0)
    lines = [[*own, *[len(titles)] * (most - len(own))] for own in same]
    return np.array(lines, np.int32).reshape(len(same), most)


@partial(jax.jit, static_argnames="k")
def best_items(
    queries: jax.Array,
    candidates: jax.Array,
    among: jax.Array,
    seen: jax.Array,
    same: jax.Array,
    *,
    k: int,
) -> tuple[jax.Array, jax.Array]:
    """The items with the highest dot products, best first, of equals the lower row first.

    Args:
        queries: float ``[users, dimension]``.
        candidates: float ``[items, dimension]``.
        among: bool ``[items]``, what may be shown at all.
        seen: int32 ``[2, pairs]``, a query and an item that is not shown for it; both are beyond
            the last where there is none.
        same: as :func:`rows_by_title` returns it: of these the best alone is shown, or none where
            one of them was seen.
        k: how many, at most as many as there are items.

    Returns:
        The scores, float ``[users, k]``, with ``-inf`` where fewer are left, and the items' rows,
        int32 ``[users, k]``.
    """
    scores = jnp.matmul(queries, candidates.T, precision=jax.lax.Precision.HIGHEST)
    scores = scores.at[seen[0], seen[1]].set(-jnp.inf, mode="drop")
    if same.size:
        own = scores.at[:, same].get(mode="fill", fill_value=-jnp.inf)
        gone = (jnp.isneginf(own) & (same < scores.shape[1])).any(axis=-1, keepdims=True)
        own = jnp.where(among.at[same].get(mode="fill", fill_value=False), own, -jnp.inf)
        is_best = jnp.arange(same.shape[1]) == own.argmax(axis=-1, keepdims=True)
        kept = jnp.where(is_best & ~gone, own, -jnp.inf)
        scores = scores.at[:, same].set(kept, mode="drop")
    return jax.lax.top_k(jnp.where(among, scores, -jnp.inf), k)
