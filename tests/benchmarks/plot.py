"""A curve in letters."""

from collections.abc import Sequence

import numpy as np


def ascii_curve(values: Sequence[float], *, width: int = 60, height: int = 10) -> str:
    """The values from left to right, means of neighbors where they are more than ``width``."""
    columns = [float(part.mean()) for part in np.array_split(values, min(width, len(values)))]
    low, high = min(columns), max(columns)
    step = (high - low) / (height - 1) or 1.0
    rows = [round((value - low) / step) for value in columns]
    labels = max(len(f"{high:,.0f}"), len(f"{low:,.0f}"))
    lines = []
    for row in range(max(rows), -1, -1):
        marks = "".join("*" if at == row else " " for at in rows).rstrip()
        lines.append(f"{low + row * step:{labels},.0f} |{marks}")
    lines.append(f"{'':{labels}} +{'-' * len(columns)}")
    lines.append(f"{'':{labels}}  1{len(values):>{max(len(columns) - 1, 1)}}")
    return "\n".join(lines)
