"""Learning curves: always a CSV file, and TensorBoard on request."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from fociscope.errors import FociscopeError
from fociscope.files.safe.atomic import atomic_path

__all__ = ["CurvesFile", "tensorboard_logger"]

#: Digits of a step; a longer one is damaged.
_LONGEST_STEP = 12


class CurvesFile(Logger):
    """The curves of a stage as one CSV file, complete at any moment.

    A run that is resumed drops the rows after its checkpoint and writes them anew, so that the file
    is the one that an uninterrupted run would have written. The file is written as a whole each
    time, beside and renamed, because it is small: a row every 50 steps.
    """

    def __init__(self, path: Path, first_step: int = 0) -> None:
        """Start a file, or continue the existing one.

        Args:
            path: Path of the file.
            first_step: Step before which existing rows are kept.
        """
        super().__init__()
        self.path = path
        self._rows: list[dict[str, str]] = []
        if first_step and path.is_file():
            with path.open(newline="", encoding="utf-8", errors="replace") as stream:
                self._rows = list(_rows_before(first_step, stream))

    @property
    def name(self) -> str:
        """What Lightning calls it."""
        return "curves"

    @property
    def version(self) -> str:
        """There is one."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the recipe lies beside."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add a row and write the file.

        Args:
            metrics: Name -> value.
            step: Training step.

        Raises:
            FociscopeError: if the disk refuses.
        """
        figures = {key: repr(value) for key, value in metrics.items() if key != "epoch"}
        self._rows.append({"step": str(step), **figures})
        text = io.StringIO(newline="")
        columns = list(dict.fromkeys(key for row in self._rows for key in row))
        table = csv.DictWriter(text, columns, lineterminator="\n")
        table.writeheader()
        table.writerows(self._rows)
        with atomic_path(self.path, overwrite=True) as part:
            part.write_text(text.getvalue(), encoding="utf-8", newline="")


def tensorboard_logger(out: Path, first_step: int = 0) -> Logger:
    """Return a logger into the folder `tensorboard` of a run.

    Args:
        out: Folder of the run or of the stage.
        first_step: Step from which on earlier curves are hidden.

    Raises:
        FociscopeError: if TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise FociscopeError(
            "TensorBoard is not installed; run in a clone of Fociscope: "
            "pip install '.[tensorboard]', or do without "
            "(curves/metrics.csv is written in any case)",
            fields=("tensorboard",),
        )
    purge_step = first_step or None
    return TensorBoardLogger(out, name="", version="tensorboard", purge_step=purge_step)


def _rows_before(step: int, lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a table whose steps are whole numbers below a step, up to a damaged one."""
    with suppress(csv.Error):
        for row in csv.DictReader(lines):
            text = row.get("step") or ""
            if text.isdecimal() and len(text) <= _LONGEST_STEP and int(text) < step:
                yield {key: value for key, value in row.items() if key and value}
