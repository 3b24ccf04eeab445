"""A small shop in three German CSV files: Latin-1, semicolons, decimal commas, day before month."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

READ = ("--separator", ";", "--encoding", "latin-1", "--decimal", ",")
"""How its files are read."""

REGIONS, KINDS = ("Süd", "Nord", "West"), ("Möbel", "Küche", "Essen")
CUSTOMERS, ARTICLES, PURCHASES = 48, 30, 20


def write_shop(folder: Path) -> None:
    """Writes ``käufe.csv``, ``kunden.csv`` and ``artikel.csv``: each region likes a kind best."""
    random = np.random.default_rng(3)
    start = datetime(2024, 1, 1, 8)
    rows = []
    for customer in range(CUSTOMERS):
        for _ in range(PURCHASES):
            kind = customer % 3 if random.random() < 0.8 else int(random.integers(3))
            article = kind + 3 * int(random.integers(ARTICLES // 3))
            liked = 8 if kind == customer % 3 else 4
            stars = int(np.clip(random.normal(liked, 1.5), 1, 10))
            when = start + timedelta(minutes=int(random.integers(0, 500_000)))
            rows.append((when, f"{customer + 1:05};A-{article:03};{stars};{when:%d.%m.%Y %H:%M}"))
    customers = [
        f"{n + 1:05};{REGIONS[n % 3]};{'' if n % 7 == 0 else f'{20 + n / 2:.1f}'.replace('.', ',')}"
        for n in range(CUSTOMERS)
    ]
    articles = [f"A-{n:03};Tür {n};{3 + n},50;{KINDS[n % 3]}" for n in range(ARTICLES)]
    folder.mkdir(parents=True, exist_ok=True)
    for name, header, lines in (
        ("käufe", "kunde;artikel;bewertung;zeit", [row for _, row in sorted(rows)]),
        ("kunden", "kunde;region;alter", customers),
        ("artikel", "artikel;name;preis;gruppe", articles),
    ):
        text = "\n".join([header, *lines, ""])
        (folder / f"{name}.csv").write_text(text, encoding="latin-1")
