"""`fociscope evaluate`: a model or a solver on unseen scenes, beside baselines, as a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from fociscope.cli.common import (
    Device,
    DeviceOption,
    ImagerOption,
    OverwriteOption,
    err,
    imager_file,
    out,
    progress_bar,
    read_imager,
    refuse_missing,
)
from fociscope.cli.entry import app
from fociscope.cli.names import MODELS, SOLVERS, SUITES, completed, listed

if TYPE_CHECKING:
    from rich.table import Table

    from fociscope.evaluation.methods import ReconstructionMethod
    from fociscope.evaluation.results import EvaluationResults, MethodScores
    from fociscope.evaluation.run import Evaluation, Progress


#: Columns of the table: key of a score, scale, decimals.
COLUMNS = {
    "pixels\nright\n(%)": ("accuracy", 100, 1),
    "baseline\n(%)": ("constant_accuracy", 100, 1),
    "Dice": ("dice", 1, 3),
    "depth\nerror\n(µm)": ("depth_error_um", 1, 1),
    "mean\ndepth\n(µm)": ("constant_depth_error_um", 1, 1),
}
TEST_ONLY_COLUMNS = {
    "Dice": ("dice", 1, 3),
    "right\n(%)": ("accuracy", 100, 1),
    "const.\n(%)": ("constant_accuracy", 100, 1),
    "depth\n(µm)": ("depth_error_um", 1, 1),
    "const.\n(µm)": ("constant_depth_error_um", 1, 1),
    "in std\n(%)": ("within_one_std", 100, 1),
    "ECE\n(%)": ("calibration_error", 100, 1),
    "flags\n(%)": ("flagged", 100, 1),
}


MethodArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL|SOLVER",
        help=f"A shipped model ({listed(MODELS)}), a .safetensors file of your own, or a "
        f"solver ({listed(SOLVERS)}).",
        autocompletion=completed((*MODELS, *SOLVERS), "fociscope.solvers"),
        show_default=False,
    ),
]
SuiteOption = Annotated[
    str | None,
    typer.Option(
        help=f"Of scenes: {listed(SUITES)}. [default: reference]",
        autocompletion=completed(SUITES),
    ),
]
BaselinesOption = Annotated[
    str,
    typer.Option(
        help="Methods beside it: none, all, or names of models and solvers with commas between "
        "them.",
        autocompletion=completed(("none", "all", "constant", *MODELS, *SOLVERS)),
    ),
]


@app.command()
def evaluate(
    method: MethodArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    suite: SuiteOption = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Score on a data set of the published layout instead of a suite."),
    ] = None,
    baselines: BaselinesOption = "constant",
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
    _check(method, suite=suite, conditions=conditions, data=data, imager=imager)
    from fociscope.evaluation import results as files
    from fociscope.evaluation.methods import find_methods
    from fociscope.files import atomic_folder
    from fociscope.report.page import write_report

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
        files.write_results(part / "results.json", done.results)
        write_report(part, done.results, done.cases)
    if as_json:
        typer.echo(files.as_json(done.results), nl=False)
        return
    _print_outcome(done.results, output)


def _check(
    method: str,
    *,
    suite: str | None,
    conditions: str | None,
    data: Path | None,
    imager: Path | None,
) -> None:
    """Refuse options that do not go together, and files that do not exist."""
    from fociscope.errors import FociscopeError

    if data is not None and (suite is not None or conditions is not None):
        raise FociscopeError("--data takes the place of a suite; leave out --suite, --conditions")
    if data is None and imager is not None:
        raise FociscopeError("--imager is that of --data; a suite brings its own imagers")
    refuse_missing(data, imager_file(imager), method if method.endswith(".safetensors") else None)


def _run(
    methods: Sequence[ReconstructionMethod],
    *,
    suite: str,
    conditions: str | None,
    data: Path | None,
    imager: Path | None,
    progress: Progress,
) -> Evaluation:
    """Score on a data set or a suite."""
    from fociscope.evaluation.data_sets import DataSet
    from fociscope.evaluation.results import SuiteSummary
    from fociscope.evaluation.run import evaluate as run
    from fociscope.evaluation.run import evaluate_suite
    from fociscope.evaluation.suite import find_suite, selected

    if data is None:
        chosen = selected(find_suite(suite), conditions)
        return evaluate_suite(chosen, methods, progress=progress)
    scored = DataSet(data, imager=read_imager(imager))
    if scored.displacement is not None and scored.displacement.whole_px.any():
        err.print(
            f"note: the sensor images lie beside the layers: {scored.displacement.in_words()} "
            "pixels. They are moved by whole pixels onto the layers.",
            highlight=False,
            soft_wrap=True,
        )
    return run([scored], methods, SuiteSummary(name="data"), progress=progress)


def _print(results: EvaluationResults) -> None:
    """Print a row per condition, and below it one for each baseline that was asked for.

    The constant baseline, which every method's scores hold, has columns of its own.
    """
    from fociscope.report.labels import condition_label

    name = results.evaluated
    if results.suite.test_only is not None:
        _print_generalisation(results)
        return
    table = _table(name, ["n", *COLUMNS])
    for condition in results.conditions:
        for method in _printed_methods(results):
            s = condition.scored(method)
            label = condition_label(condition) if method == name else f"  {method}"
            scenes = str(condition.scenes if s is None else s.scenes)
            table.add_row(escape(label), scenes, *_cells(s, COLUMNS))
    out.print(table)


def _print_generalisation(results: EvaluationResults) -> None:
    """Print the test-only families, the worst one first; the report has more columns."""
    from fociscope.evaluation.generalisation import worst_first

    name = results.evaluated
    table = _table(f"{name}, worst first", TEST_ONLY_COLUMNS)
    for condition in worst_first(results.conditions, name):
        for method in _printed_methods(results):
            label = condition.name if method == name else f"  {method}"
            table.add_row(escape(label), *_cells(condition.scored(method), TEST_ONLY_COLUMNS))
    out.print(table)
    names = ", ".join(results.suite.test_only or ())
    out.print(
        f"Test only, drawn by the second simulator; no model was trained on them: {names}",
        highlight=False,
        soft_wrap=True,
    )


def _printed_methods(results: EvaluationResults) -> list[str]:
    """Return the evaluated method and its baselines but the constant one."""
    first, *others = results.methods
    return [first, *(name for name in others if name != "constant")]


def _table(title: str, columns: Iterable[str]) -> Table:
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left", title_style="bold")
    table.add_column("condition", no_wrap=True, min_width=26)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _cells(scores: MethodScores | None, columns: dict[str, tuple[str, int, int]]) -> list[str]:
    if scores is None:
        return ["cannot"]
    return [_value(scores, *column) for column in columns.values()]


def _print_outcome(results: EvaluationResults, output: Path) -> None:
    """Print the scores, how many warnings the report holds, and what was written."""
    _print(results)
    notes = {note for c in results.conditions for note in c.notes or ()}
    if notes:
        err.print(f"{len(notes)} warning(s) stand at the end of report.html", highlight=False)
    names = "report.html, tables.md, results.json, figures/"
    out.print(
        f"Written to [bold]{escape(str(output))}[/]: {names}", highlight=False, soft_wrap=True
    )


def _value(scores: MethodScores, key: str, scale: int, decimals: int) -> str:
    value = scores.value(key)
    return "" if value is None else f"{scale * value:.{decimals}f}"
