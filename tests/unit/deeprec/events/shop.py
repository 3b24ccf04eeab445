"""A small shop: a log of events and two tables, in files that a test may change."""

from pathlib import Path
from typing import Any

from deeprec.data.cache import Entry
from deeprec.events.description import DataDescription
from deeprec.events.preparation import prepare

EVENTS = """user,item,when,event
ann,001,2025-01-01,buy
ann,002,2025-01-02,view
bob,001,2025-01-03,buy
bob,003,2025-01-04,buy
cat,002,2025-01-05,buy
ann,003,2025-02-01,buy
bob,002,2025-02-02,buy
cat,001,2025-03-01,buy
dan,003,2025-03-02,buy
"""
USERS = """id,region,age
ann,north,30
bob,south,40
cat,north,
dan,west,50
"""
ITEMS = """sku,name,price,tags
001,Red Shoe,10.5,shoe|red
002,Blue Shoe,20,shoe|blue
003,Hat,5,hat
004,Scarf,7,
"""
USERS_WITH_VECTORS = """{"id": "ann", "region": "north", "age": 30, "taste": [0.5, 1.5]}
{"id": "bob", "region": "south", "age": 40, "taste": [3.0, 4.0]}
{"id": "cat", "region": "north", "taste": null}
{"id": "dan", "region": "west", "age": 50, "taste": [0.0, 1.0]}
"""
DATA: dict[str, Any] = {
    "interactions": "events.csv",
    "user": "user",
    "item": "item",
    "time": "when",
    "label": {"column": "event", "weights": {"view": 0.25, "buy": 1.0}, "relevant": ["buy"]},
    "split": {"validation": "2025-02-01", "test": "2025-03-01"},
    "users": {
        "table": "users.csv",
        "id": "id",
        "features": {"region": "category", "age": {"kind": "number", "bins": 2}},
    },
    "items": {
        "table": "items.csv",
        "id": "sku",
        "title": "name",
        "features": {
            "price": "number",
            "tags": "tags",
            "words": {"kind": "text", "column": "name"},
        },
    },
}


class Shop:
    """The files in a folder, and what a study file says of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        for name, text in {"events": EVENTS, "users": USERS, "items": ITEMS}.items():
            self.write(f"{name}.csv", text)

    def write(self, name: str, content: str | bytes) -> Path:
        """Puts a file into the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def replace(self, name: str, old: str, new: str) -> None:
        """Changes a part of a file."""
        text = (self.folder / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def described(self, **changes: Any) -> DataDescription:
        """What the study file says; ``users__features={...}`` changes a key of ``[data.users]``."""
        data: dict[str, Any] = {k: dict(v) if isinstance(v, dict) else v for k, v in DATA.items()}
        for key, value in changes.items():
            section, _, inner = key.rpartition("__")
            place = data.setdefault(section, {}) if section else data
            if value is None:
                place.pop(inner, None)
            else:
                place[inner] = value
        return DataDescription.model_validate(data)

    def prepare(self, **changes: Any) -> Entry:
        """The prepared arrays."""
        return prepare(self.described(**changes), self.folder, self.said.append)
