"""What the verbs share: consoles, a progress bar, options, and tables of layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from fociscope.cli.names import IMAGERS, MODELS, completed, listed
from fociscope.errors import harmless

if TYPE_CHECKING:
    from fociscope.calibration import Estimate
    from fociscope.imager import Imager
    from fociscope.results import Reconstruction

__all__ = [
    "MOST_PAIRS_LISTED",
    "Device",
    "DeviceOption",
    "HarmlessConsole",
    "ImagerOption",
    "ModelArgument",
    "OverwriteOption",
    "err",
    "estimate_cells",
    "found_columns",
    "imager_file",
    "out",
    "pitch_in_words",
    "print_pairs",
    "print_table",
    "print_written",
    "progress_bar",
    "read_imager",
    "refuse_missing",
    "refuse_missing_model",
    "self_check",
    "show",
]


class HarmlessConsole(Console):
    """A console on which text of files cannot steer the terminal, nor turn into pictures."""

    def __init__(self, *, stderr: bool = False) -> None:
        """Write to stdout, or to stderr."""
        super().__init__(stderr=stderr, emoji=False)

    def render_str(self, text: str, *args: Any, **options: Any) -> Text:
        """Return text with markup, whose letters that are no text are written out."""
        return super().render_str(harmless(text), *args, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Yield the segments of anything, their texts harmless."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=harmless(segment.text))


out, err = HarmlessConsole(), HarmlessConsole(stderr=True)

#: Pairs of files are listed one by one up to so many; of more, the first and the last.
MOST_PAIRS_LISTED = 200


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help=f"A shipped model ({listed(MODELS)}), or a .safetensors file.",
        autocompletion=completed(MODELS),
        show_default=False,
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace what an earlier run has left there.")
]
ImagerOption = Annotated[
    Path | None,
    typer.Option(
        help=f"TOML file of the imager, or its name ({listed(IMAGERS)}); without it, the reference "
        "imager.",
        autocompletion=completed(IMAGERS),
    ),
]


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal; yield the function that moves it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), Remaining()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def pitch_in_words(imager: Imager) -> str:
    """Return the pixel pitch as `fociscope info` prints it: `55 µm`, or along x and along y."""
    y, x = imager.pitch_um
    return f"{x:g} µm" if x == y else f"{x:g} x {y:g} µm"


def estimate_cells(estimate: Estimate, *, unknown: str) -> tuple[str, str, str]:
    """Return the cells of a fitted value, its standard deviation and its unit, to two digits.

    Args:
        estimate: The value.
        unknown: Cell of a standard deviation that the measurement does not give.
    """
    known = math.isfinite(estimate.std)
    digits = max(0, 1 - math.floor(math.log10(estimate.std))) if known and estimate.std else 3
    return (
        f"{estimate.value:.{digits}f}",
        f"{estimate.std:.{digits}f}" if known else unknown,
        "" if estimate.unit == "1" else estimate.unit,
    )


def print_written(output: Path, ends: Sequence[str]) -> None:
    """Print the files of an imager that were written, by the ends of their names."""
    names = ", ".join(output.with_suffix(end).name for end in ends)
    where = escape(str(output.parent))
    out.print(f"Written to [bold]{where}[/]: {escape(names)}", highlight=False, soft_wrap=True)


def read_imager(path: Path | None) -> Imager | None:
    """Read the imager that `--imager` names; None without one."""
    from fociscope.imager import Imager

    return None if path is None else Imager.load(path)


def imager_file(imager: Path | None) -> Path | None:
    """Return the file of an imager; None for one that is named, or none."""
    return None if imager is None or str(imager) in IMAGERS else imager


def refuse_missing(*paths: Path | str | None) -> None:
    """Refuse a file that does not exist, before anything heavy is imported.

    Args:
        paths: Files and folders that the verb reads; None where an option is not set.

    Raises:
        FileFormatError: if one of them does not exist.
    """
    from fociscope.errors import FileFormatError, printable

    for path in paths:
        if path is None or Path(path).exists():
            continue
        # A path may go on inside a file, such as an archive.
        if not any(parent.is_file() for parent in Path(path).parents):
            raise FileFormatError(f"{printable(path)}: there is no such file; check the path.")


def refuse_missing_model(model: str) -> None:
    """Refuse a model's file that does not exist, before torch loads; a name is looked up later."""
    if model not in MODELS and model.endswith(".safetensors"):
        refuse_missing(model)


def show(name: str, value: str) -> None:
    """Print one property of what `fociscope info` describes."""
    value = value.replace("\n", r"\n")  # that of a name
    out.print(f"[bold]{name:<12}[/] {escape(value)}", highlight=False, soft_wrap=True)


def print_pairs(pairs: Sequence[tuple[Path, ...]]) -> None:
    """Print a line for each pair of files, with their paths, to stderr; of very many, the ends."""
    from fociscope.errors import printable

    lines = [" + ".join(printable(path) for path in pair) for pair in pairs]
    if len(lines) > MOST_PAIRS_LISTED:
        ends = MOST_PAIRS_LISTED // 2
        lines = [*lines[:ends], f"… {len(lines) - 2 * ends} more …", *lines[-ends:]]
    for line in lines:
        err.print(f"  {escape(line)}", highlight=False, soft_wrap=True)


def print_table(title: str, columns: dict[str, list[str]]) -> None:
    """Print one row per layer."""
    from rich.table import Table

    out.print(f"[bold]{escape(title)}[/]", highlight=False, soft_wrap=True)
    table = Table()
    for name in columns:
        table.add_column(name, justify="right")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(escape, row))
    out.print(table)


def found_columns(result: Reconstruction) -> dict[str, list[str]]:
    """Return the columns that describe one capture's layers."""
    return {
        "layer": [str(n + 1) for n in range(len(result.depth_um))],
        "there\n(%)": [f"{100 * p:.0f}" for p in result.presence],
        "depth\n(µm)": [
            f"{z:.0f} ± {s:.0f}" if present else "absent"
            for present, z, s in zip(
                result.present, result.depth_um, result.depth_std_um, strict=True
            )
        ],
        "cells\non\n(%)": [f"{100 * mask.mean():.1f}" for mask in result.mask],
    }


def self_check(result: Reconstruction) -> str:
    """Return the line that says how well a reconstruction explains its capture."""
    return f"Self-check residual |reprojection - capture| / |capture|: {result.self_check}"
