"""`fociscope evaluate`: a model or a solver on unseen scenes, beside baselines, as a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from fociscope.cli.common import (
    Device,
    DeviceOption,
    ImagerOption,
    OverwriteOption,
    err,
    out,
    progress_bar,
    read_imager,
)
from fociscope.cli.entry import app

if TYPE_CHECKING:
    from fociscope.evaluation.run import Evaluation, Progress


@app.command()
def evaluate(
    method: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|SOLVER",
            help="A shipped model, a .safetensors file of your own, or a solver such as admm.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    suite: Annotated[
        str | None,
        typer.Option(help="Of scenes: reference, quick or generalisation. [default: reference]"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Score on a data set of the published layout instead of a suite."),
    ] = None,
    baselines: Annotated[
        str, typer.Option(help="none, all, or names with commas between them.")
    ] = "constant",
    conditions: Annotated[
        str | None,
        typer.Option(help="Only those of the suite that fit, such as 'reference,snr-*'."),
    ] = None,
    imager: ImagerOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON instead of a table.")
    ] = False,
    device: DeviceOption = Device.auto,
    overwrite: OverwriteOption = False,
) -> None:
    """Score a model or solver on unseen scenes, and write a report with tables and pictures."""
    from fociscope.errors import FociscopeError
    from fociscope.evaluation import results as files
    from fociscope.evaluation.methods import find_methods
    from fociscope.files import atomic_folder
    from fociscope.report.page import write_report

    if data is not None and (suite is not None or conditions is not None):
        raise FociscopeError("--data takes the place of a suite; leave out --suite, --conditions")
    if data is None and imager is not None:
        raise FociscopeError("--imager is that of --data; a suite brings its own imagers")
    with atomic_folder(output, overwrite=overwrite) as part:
        methods = find_methods(method, baselines, device=device)
        with progress_bar("Scoring scenes") as bar:
            done = _run(
                methods,
                suite=suite or "reference",
                conditions=conditions,
                data=data,
                imager=imager,
                progress=lambda _, count, total: bar(count, total),
            )
        text = files.as_json(done.results)
        (part / "results.json").write_text(text, encoding="utf-8")
        write_report(part, done.results, done.cases)
    if as_json:
        typer.echo(text, nl=False)
        return
    _print_outcome(done.results, output)


def _run(
    methods: list[Any],
    *,
    suite: str,
    conditions: str | None,
    data: Path | None,
    imager: Path | None,
    progress: Progress,
) -> Evaluation:
    """Score on a data set or a suite."""
    from fociscope.evaluation.data_sets import DataSet
    from fociscope.evaluation.run import evaluate as run
    from fociscope.evaluation.run import evaluate_suite
    from fociscope.evaluation.suite import find_suite, selected

    if data is None:
        chosen = selected(find_suite(suite), conditions)
        return evaluate_suite(chosen, methods, progress=progress)
    scored = DataSet(data, imager=read_imager(imager))
    return run([scored], methods, {"name": "data"}, progress=progress)


def _print(results: dict[str, Any]) -> None:
    """Print one row per condition: the evaluated method beside the constant baseline."""
    from rich.table import Table

    from fociscope.report.labels import condition_label, evaluated

    if "test_only" in results["suite"]:
        _print_generalisation(results)
        return
    name = evaluated(results)
    table = Table(title=escape(name), title_justify="left", title_style="bold")
    table.add_column("condition", no_wrap=True, min_width=26)
    for column in (
        "n",
        "pixels\nright\n(%)",
        "baseline\n(%)",
        "Dice\n(%)",
        "depth\nerror\n(µm)",
        "mean\ndepth\n(µm)",
    ):
        table.add_column(column, justify="right")
    for condition in results["conditions"]:
        s = condition["scores"][name]
        if "not_applicable" in s:
            table.add_row(condition_label(condition), str(condition["scenes"]), "cannot")
            continue
        table.add_row(
            condition_label(condition),
            str(s["scenes"]),
            _value(s, "accuracy", 100),
            _value(s, "constant_accuracy", 100),
            _value(s, "dice", 100),
            _value(s, "depth_error_um", 1),
            _value(s, "constant_depth_error_um", 1),
        )
    out.print(table)


def _print_generalisation(results: dict[str, Any]) -> None:
    """Print the test-only families, the worst one first; the report has more columns."""
    from rich.table import Table

    from fociscope.evaluation.generalisation import worst_first
    from fociscope.report.labels import evaluated

    name = evaluated(results)
    columns = {
        "Dice\n(%)": ("dice", 100),
        "right\n(%)": ("accuracy", 100),
        "const.\n(%)": ("constant_accuracy", 100),
        "depth\n(µm)": ("depth_error_um", 1),
        "const.\n(µm)": ("constant_depth_error_um", 1),
        "in std\n(%)": ("within_one_std", 100),
        "ECE\n(%)": ("calibration_error", 100),
        "flags\n(%)": ("flagged", 100),
    }
    table = Table(title=escape(f"{name}, worst first"), title_justify="left", title_style="bold")
    table.add_column("condition", no_wrap=True, min_width=26)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for condition in worst_first(results["conditions"], name):
        s = condition["scores"][name]
        cells = (_value(s, key, scale) for key, scale in columns.values())
        table.add_row(condition["name"], *(["cannot"] if "not_applicable" in s else cells))
    out.print(table)
    names = ", ".join(results["suite"]["test_only"])
    out.print(
        f"Test only, drawn by the second simulator; no model was trained on them: {names}",
        highlight=False,
        soft_wrap=True,
    )


def _print_outcome(results: dict[str, Any], output: Path) -> None:
    """Print the scores, how many warnings the report holds, and what was written."""
    _print(results)
    notes = {note for c in results["conditions"] for note in c.get("notes", [])}
    if notes:
        err.print(f"{len(notes)} warning(s) stand at the end of report.html", highlight=False)
    names = "report.html, tables.md, results.json, figures/"
    out.print(
        f"Written to [bold]{escape(str(output))}[/]: {names}", highlight=False, soft_wrap=True
    )


def _value(scores: dict[str, Any], key: str, scale: float) -> str:
    entry = scores.get(key)
    value = entry.get("value") if isinstance(entry, dict) else entry
    return "" if value is None else f"{scale * value:.1f}"
