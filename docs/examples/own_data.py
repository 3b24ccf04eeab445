"""Two towers on data of your own: from CSV files to recommendations, without a study.

Run it with ``python docs/examples/own_data.py``. It makes up a small shop, writes it as two CSV
files as you might have them, and reads them back; from ``read_customers`` on, everything is what
you would write for your own files.
"""

import csv
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deeprec.config import ModelConfig, TrainingConfig
from deeprec.data.dataset import TrainingData
from deeprec.data.tables import Feature, FeatureSchema, FeatureTable, IntArray, Interactions
from deeprec.evaluation.ranking import RankingMetrics, model_scores, rank_all
from deeprec.evaluation.references import choose_references, fit_reference
from deeprec.model.retrieval import RetrievalModel
from deeprec.training.device_data import DeviceData
from deeprec.training.train import train

CUSTOMERS, PRODUCTS, PURCHASES = 300, 400, 12_000
CATEGORIES = ("books", "games", "garden", "kitchen", "music", "sports")
REGIONS = ("east", "north", "south", "west")

Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Shop:
    """What the model learns from: two tables, the purchases in order of time, and names."""

    customers: FeatureTable
    products: FeatureTable
    purchases: Interactions
    customer_keys: Sequence[str]
    product_names: Sequence[str]


def main() -> None:
    """Makes the files, trains, compares with references, and recommends."""
    with tempfile.TemporaryDirectory() as folder:
        write_shop(Path(folder))
        shop = read_shop(Path(folder))
    model, parts = trained_model(shop)
    known = parts.before_test
    score = model_scores(model, shop.customers, shop.products)
    show("two towers", rank_all(score, known, parts.test, shop.products.rows))
    counts = (shop.customers.rows, shop.products.rows)
    for settings, _ in choose_references(parts.train, parts.validation, *counts):
        if settings.name in ("popularity", "ease_unseen"):
            reference = fit_reference(settings, known, *counts)
            show(settings.name, rank_all(reference, known, parts.test, shop.products.rows))

    customer = 1
    scores = np.array(score(np.array([customer], np.int32)))[0]
    scores[known.movie_id[known.user_id == customer]] = -np.inf  # bought already
    scores[0] = -np.inf  # row 0 is no product
    best = np.argsort(-scores)[:5]
    say(f"for {shop.customer_keys[customer]}: {', '.join(shop.product_names[row] for row in best)}")


@dataclass(frozen=True)
class Parts:
    """The purchases by time: the latest ones test."""

    train: Interactions
    validation: Interactions
    test: Interactions
    before_test: Interactions


def divided(purchases: Interactions) -> Parts:
    """Eight tenths to train on, one to select by, one to test on."""
    first, second = int(0.8 * len(purchases)), int(0.9 * len(purchases))
    return Parts(
        train=purchases[:first],
        validation=purchases[first:second],
        test=purchases[second:],
        before_test=purchases[:second],
    )


def trained_model(shop: Shop) -> tuple[RetrievalModel, Parts]:
    """A model with the weights of its best epoch on the validation rows."""
    parts = divided(shop.purchases)
    data = TrainingData(
        users=shop.customers,
        movies=shop.products,
        train=parts.train,
        validation=parts.validation,
    )
    config = ModelConfig(layer_sizes=(32,), embedding_dimension=16, normalize=True)
    model = RetrievalModel.for_tables(shop.customers, shop.products, config, seed=0)
    training = TrainingConfig(
        loss="softmax",
        optimizer="adam",
        learning_rate=0.005,
        temperature=0.15,
        dropout=0.3,
        batch_size=64,
        epochs=30,
        validate_every=5,
    )
    result = train(model, DeviceData(data), training, on_epoch=show_epoch)
    say(f"best epoch {result.best_epoch}")
    return model, parts


def show_epoch(epoch: int, metrics: Mapping[str, float]) -> None:
    """The seam: report to a tuner here, and prune by raising an exception."""
    if "val_top_100_accuracy" in metrics:
        say(f"epoch {epoch:2d}  top-100 accuracy {metrics['val_top_100_accuracy']:.3f}")


def show(name: str, metrics: RankingMetrics) -> None:
    """One line of the comparison, seen products removed."""
    say(
        f"{name:<12} test top-100 {metrics.top_100_accuracy_unseen:.3f}  "
        f"recall@10 {metrics.recall_at_10:.3f}  nDCG@10 {metrics.ndcg_at_10:.3f}"
    )


def say(line: str) -> None:
    """Prints a line."""
    sys.stdout.write(f"{line}\n")


# --- From files to tables ---------------------------------------------------------------------


def read_shop(folder: Path) -> Shop:
    """Reads both files; ids in files may be any text, rows of tables are counted from 1."""
    purchases = read_csv(folder / "purchases.csv")
    products = read_csv(folder / "products.csv")
    keys, users = numbered(row["customer"] for row in purchases)
    names, _ = numbered(row["product"] for row in products)
    place = {name: number for number, name in enumerate(names)}
    rows = Interactions(
        user_id=users,
        movie_id=np.array([place[row["product"]] for row in purchases], np.int32),
        rating=np.ones(len(purchases), np.float32),  # every purchase counts
        timestamp=np.array([int(row["time"]) for row in purchases], np.uint32),
    )
    order = np.argsort(rows.timestamp, kind="stable")
    return Shop(
        customers=customer_table(keys, purchases),
        products=product_table(names, products),
        purchases=rows[order],
        customer_keys=keys,
        product_names=names,
    )


def customer_table(keys: Sequence[str], purchases: Sequence[Row]) -> FeatureTable:
    """A row a customer: the id, and the region they live in."""
    region_of = {row["customer"]: row["region"] for row in purchases}
    regions, values = numbered(region_of[key] for key in keys[1:])
    return FeatureTable(
        FeatureSchema(
            (
                Feature(name="customer", kind="id", vocabulary_size=len(keys)),
                Feature(name="region", kind="categorical", vocabulary_size=len(regions)),
            )
        ),
        {
            "customer": np.arange(len(keys), dtype=np.int32),
            "region": np.concatenate([[0], values]).astype(np.int32),
        },
    )


def product_table(names: Sequence[str], products: Sequence[Row]) -> FeatureTable:
    """A row a product: the id, a price range, and up to two categories."""
    known, _ = numbered(tag for row in products for tag in row["categories"].split("|"))
    place = {tag: number for number, tag in enumerate(known)}
    tags = np.zeros((len(names), 2), np.int32)  # 0 is padding
    for number, row in enumerate(products, start=1):
        found = [place[tag] for tag in row["categories"].split("|")]
        tags[number, : len(found)] = found
    prices = np.array([0.0, *(float(row["price"]) for row in products)])
    bounds = np.quantile(prices[1:], [0.25, 0.5, 0.75])
    return FeatureTable(
        FeatureSchema(
            (
                Feature(name="product", kind="id", vocabulary_size=len(names)),
                Feature(name="price", kind="discretized", vocabulary_size=len(bounds) + 1),
                Feature(name="categories", kind="tags", vocabulary_size=len(known), length=2),
            )
        ),
        {
            "product": np.arange(len(names), dtype=np.int32),
            "price": np.digitize(prices, bounds).astype(np.int32),
            "categories": tags,
        },
    )


def numbered(values: Iterable[str]) -> tuple[list[str], IntArray]:
    """Numbers from 1, in the order in which values first appear; 0 stands for nothing."""
    numbers: dict[str, int] = {}
    rows = [numbers.setdefault(value, len(numbers) + 1) for value in values]
    return ["", *numbers], np.array(rows, np.int32)


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file with a header."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- A made-up shop ---------------------------------------------------------------------------


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
