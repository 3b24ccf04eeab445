"""Names and notes of runs: ours until a person edits them, then theirs.

A run carries a tag with digests of the name and the note that were written last. A text that is
no longer the one written was edited, and stays as it is.
"""

import hashlib
from collections.abc import Mapping

from search.tracking.content import RunContent
from search.tracking.names import KIND, NOTE, RUN_NAME, WRITTEN


def wanted_tags(content: RunContent, stored: Mapping[str, str]) -> dict[str, str]:
    """The tags that a run shall have, name and note included where they are still ours.

    Args:
        content: of the run.
        stored: the tags that it has; empty for a new one.
    """
    texts = {RUN_NAME: content.name, NOTE: content.tags.get(NOTE, "")}
    tags = {name: value for name, value in content.tags.items() if name != NOTE}
    written = dict(zip(texts, stored.get(WRITTEN, "").split(), strict=False))
    ours = [name for name in texts if _is_ours(name, content, stored, written.get(name))]
    if ours:
        tags |= {name: texts[name] for name in ours}
        digests = [_digest(texts[n]) if n in ours else written.get(n, "-") for n in texts]
        tags[WRITTEN] = " ".join(digests)
    return tags


def _is_ours(
    name: str, content: RunContent, stored: Mapping[str, str], written: str | None
) -> bool:
    if not stored:
        return True
    text = stored.get(name, "")
    if written is not None:
        return _digest(text) == written
    return content.tags.get(KIND) == "study" and _was_generated(name, text, content)


def _was_generated(name: str, text: str, content: RunContent) -> bool:
    """Whether the text of a study's run is as version 0.1.0 wrote it, which kept no digests."""
    if name == RUN_NAME:
        words = text.split(" ")
        return words[:2] == content.name.split(" ")[:2] and len(words) <= 3
    beginning = content.tags[NOTE].partition(":")[0]
    return text.startswith(f"{beginning}: a search over") and text.endswith("`")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
