"""The learning curves of the shipped models, from the validations of their runs.

    python benchmarks/curves.py RUNS

RUNS holds the folders of `fociscope train`, one for each model. Keeps the validations of each as
`benchmarks/curves/MODEL.csv` and draws `docs/images/curves.png` from what is kept there.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
KEPT, PICTURE = HERE / "curves", HERE.parent / "docs" / "images" / "curves.png"
COLUMNS = ("step", "val/mask", "val/intensity", "val/accuracy", "val/depth_error_um")
WANTED = {"layers-ab": (95.0, 12.0), "single-a": (None, 8.0), "layers-a": (85.0, None)}


def keep(run: Path) -> None:
    """Keep the validations of a run, of all its stages one after the other."""
    rows: list[dict[str, str]] = []
    first = 0
    for path in curves(run):
        with path.open(newline="", encoding="utf-8") as file:
            stage = [row for row in csv.DictReader(file) if row["val/accuracy"]]
        rows += [row | {"step": str(first + int(row["step"]))} for row in stage]
        first = int(rows[-1]["step"]) + 1
    with (KEPT / f"{run.name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            values = (f"{float(row[name]):.5g}" for name in COLUMNS[1:])
            writer.writerow([int(row["step"]) + 1, *values])


def curves(run: Path) -> list[Path]:
    """Return the files of the curves of a run, stage by stage."""
    stages = sorted(run.glob("stages/*/curves/metrics.csv"))
    return stages or [path for path in [run / "curves" / "metrics.csv"] if path.is_file()]


def draw(paths: list[Path]) -> None:
    """Draw accuracy and depth error of each model by step."""
    figure, axes = plt.subplots(
        2, len(paths), figsize=(4.2 * len(paths), 5.4), sharex="col", squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for column, path in enumerate(paths):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        steps = [int(row["step"]) for row in rows]
        percent = [100 * float(row["val/accuracy"]) for row in rows]
        error_um = [float(row["val/depth_error_um"]) for row in rows]
        pairs = zip((percent, error_um), WANTED[path.stem], ("C0", "C1"), strict=True)
        for row, (values, wanted, colour) in enumerate(pairs):
            ax = axes[row, column]
            ax.plot(steps, values, color=colour, marker=".")
            if wanted is not None:
                ax.axhline(wanted, color="0.4", linestyle="--", label=f"wanted: {wanted:g}")
                ax.legend(frameon=False)
            ax.grid(alpha=0.25)
            ax.spines[["top", "right"]].set_visible(False)
        axes[0, column].set_title(path.stem)
        axes[1, column].set_xlabel("training step")
    axes[0, 0].set_ylabel("pixels right, validation (%)")
    axes[1, 0].set_ylabel("depth error, validation (µm)")
    figure.savefig(PICTURE, dpi=110)


def main() -> None:
    """Keep what is in the runs, and draw all that is kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    runs = parser.parse_args().runs
    KEPT.mkdir(exist_ok=True)
    for name in WANTED:
        if curves(runs / name):
            keep(runs / name)
    draw([path for name in WANTED if (path := KEPT / f"{name}.csv").is_file()])


if __name__ == "__main__":
    main()
