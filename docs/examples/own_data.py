"""Two towers on data of your own: from CSV files to recommendations, without a study.

Run it with ``python docs/examples/own_data.py``. It makes up a small shop and writes it as two CSV
files as you might have them; :data:`SHOP` says what their columns mean, and the rest is what you
would write for your own files.
"""

import csv
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from deeprec.config import Metric, ModelConfig, TrainingConfig
from deeprec.data.dataset import Dataset, Splits, split
from deeprec.evaluation.ranking import Judgment, Score, list_metrics, model_scores
from deeprec.evaluation.references import ReferenceName, choose_reference, fit_reference
from deeprec.events.description import DataDescription
from deeprec.events.loading import load_own
from deeprec.model.retrieval import RetrievalModel
from deeprec.recommender import Recommender
from deeprec.training.device_data import DeviceData
from deeprec.training.lists import Asked
from deeprec.training.train import train_new

SHOP = DataDescription.model_validate(
    {
        "interactions": "purchases.csv",
        "user": "customer",
        "item": "product",
        "time": {"column": "time", "unit": "s"},
        "split": {"validation": 0.1, "test": 0.1},  # by time: the latest purchases test
        "users": {"features": {"region": "category"}},  # a column of the purchases
        "items": {
            "table": "products.csv",
            "id": "product",
            "features": {
                "price": {"kind": "number", "bins": 5},
                "categories": {"kind": "tags", "separator": "|"},
            },
        },
    }
)
METRICS = (Metric.of("ndcg@10"), Metric.of("recall@100"), Metric.of("coverage@10"))
MODEL = ModelConfig(layer_sizes=(32,), embedding_dimension=16, normalize=True)
TRAINING = TrainingConfig(
    loss="softmax",
    optimizer="adam",
    learning_rate=0.005,
    temperature=0.15,
    dropout=0.3,
    id_dropout=0.1,
    batch_size=64,
    epochs=30,
    validate_every=5,
    metrics=METRICS,
)
REFERENCES: tuple[ReferenceName, ...] = ("popularity", "ease")


def main() -> None:
    """Makes the files, trains, compares with references, and recommends."""
    with tempfile.TemporaryDirectory() as folder:
        write_shop(Path(folder))
        shop = load_own(SHOP, Path(folder), cache_dir=Path(folder, "cache"), announce=say)
    parts = split(shop)
    data = DeviceData(shop.training(parts.train, parts.validation))
    model, result = train_new(MODEL, data, TRAINING, on_epoch=show_epoch)
    say(f"best epoch {result.best_epoch}")
    compare(model, shop, parts)

    recommender = Recommender.of(model, shop, parts.before_test)
    titles = [each.title for each in recommender.recommend("c001", 5)]
    say(f"for c001: {', '.join(titles)}")
    titles = [each.title for each in recommender.recommend(None, 5, region="north")]
    say(f"for an unknown customer in the north: {', '.join(titles)}")


def show_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
    """The seam: report to a tuner here, and prune by raising an exception."""
    if "val_ndcg_at_10" in metrics:
        say(f"epoch {epoch:2d}  nDCG@10 {metrics['val_ndcg_at_10']:.3f}")


def compare(model: RetrievalModel, shop: Dataset, parts: Splits) -> None:
    """The model and two references on the test rows, what a customer bought before left out."""
    known, counts = parts.before_test, (shop.users.rows, shop.movies.rows)
    asked = Asked.of(parts.test, known, shop.movies.rows, reserved=shop.reserved)
    scorers: dict[str, Score] = {"two towers": model_scores(model, shop.users, shop.movies)}
    judge = Judgment(metrics=METRICS, reserved=shop.reserved)
    for reference in REFERENCES:
        [(chosen, _)] = choose_reference(reference, parts.train, parts.validation, *counts, judge)
        scorers[reference] = fit_reference(chosen, known, *counts)
    for name, score in scorers.items():
        values = list_metrics(score, asked, METRICS).values
        shown = "  ".join(f"{metric} {values[metric.key]:.3f}" for metric in METRICS)
        say(f"{name:<12} test: {shown}")


def say(line: str) -> None:
    """Prints a line."""
    sys.stdout.write(f"{line}\n")


# --- A made-up shop ---------------------------------------------------------------------------

CUSTOMERS, PRODUCTS, PURCHASES = 300, 400, 12_000
CATEGORIES = ("books", "games", "garden", "kitchen", "music", "sports")
REGIONS = ("east", "north", "south", "west")


def write_shop(folder: Path) -> None:
    """Writes ``products.csv`` and ``purchases.csv``: customers favor one or two categories."""
    draw = np.random.default_rng(0)
    categories = [draw.choice(len(CATEGORIES), draw.integers(1, 3), False) for _ in range(PRODUCTS)]
    appeal = draw.exponential(1.0, PRODUCTS)
    with (folder / "products.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(("product", "price", "categories"))
        for number, own in enumerate(categories):
            tags = "|".join(CATEGORIES[category] for category in own)
            out.writerow((f"{CATEGORIES[own[0]]}-{number}", f"{draw.lognormal(3, 1):.2f}", tags))
    is_in = np.array([[category in own for own in categories] for category in range(6)])
    with (folder / "purchases.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(("customer", "region", "product", "time"))
        bought: set[tuple[int, int]] = set()
        favorites = [draw.choice(6, 2, False) for _ in range(CUSTOMERS)]
        while len(bought) < PURCHASES:
            customer = int(draw.integers(CUSTOMERS))
            chances = appeal * (0.05 + is_in[favorites[customer]].any(axis=0))
            product = int(draw.choice(PRODUCTS, p=chances / chances.sum()))
            if (customer, product) in bought:
                continue
            bought.add((customer, product))
            name = f"{CATEGORIES[categories[product][0]]}-{product}"
            region = REGIONS[favorites[customer][0] % len(REGIONS)]
            out.writerow((f"c{customer:03d}", region, name, 1_700_000_000 + len(bought)))


if __name__ == "__main__":
    main()
