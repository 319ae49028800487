"""The report of an evaluation: one HTML file that needs nothing else, pictures, and the tables."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.figure import Figure

from fociscope.evaluation.results import ConditionResult, EvaluationResults
from fociscope.report.cells import Table
from fociscope.report.curves import draw_conditions, draw_curves
from fociscope.report.figures import (
    FEWEST_LAYERS,
    draw_case,
    draw_detection,
    draw_families,
    draw_over_depth,
    draw_reliability,
)
from fociscope.report.labels import condition_label, is_scored, pictured
from fociscope.report.limits import bounds_caption
from fociscope.report.tables import all_tables

if TYPE_CHECKING:
    from fociscope.evaluation.run import Case

__all__ = [
    "STYLE",
    "Picture",
    "file_bytes",
    "html_figure",
    "html_page",
    "html_table",
    "pictures",
    "tables_as_markdown",
    "write_report",
]

PNG_DPI = 160
#: A column with longer cells than this is one of words.
WORDS = 34

STYLE = """
:root { color-scheme: light; --line: #999; --soft: #f2f2f2; --quiet: #444; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #111; background: white; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .3rem; }
p { margin: .3rem 0 .8rem; } .lead, figcaption, footer { color: var(--quiet); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .8rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .5rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
th { border-bottom-width: 2px; vertical-align: bottom; font-weight: 600; }
th:first-child, td:first-child, .words { text-align: left; }
.range, td.name { white-space: nowrap; }
tr:nth-child(even) td { background: var(--soft); }
figure { margin: 1rem 0; } figcaption { font-size: .85rem; }
img { max-width: 100%; height: auto; background: white; border: 1px solid var(--line); }
footer { margin-top: 3rem; font-size: .8rem; border-top: 1px solid var(--line); }
@page { size: A4; margin: 15mm; }
@media print {
  body { max-width: none; margin: 0; padding: 0; font-size: 9.5pt; }
  h1 { font-size: 16pt; } h2 { font-size: 12pt; margin: 6mm 0 1mm; break-after: avoid; }
  table { font-size: 6.5pt; width: 100%; } th, td { padding: .3mm .8mm; }
  thead { display: table-header-group; } tr, figure { break-inside: avoid; }
  .wide { overflow: visible; } figure { margin: 3mm 0; }
  img { max-height: 225mm; border: none; } h2 + p, h2 + p + div { break-before: avoid; }
}
"""


class Picture(NamedTuple):
    """A picture of the report."""

    name: str
    """Of its files, without suffix."""
    caption: str
    figure: Figure


def write_report(folder: Path, results: EvaluationResults, cases: Sequence[Case]) -> list[Path]:
    """Write `report.html`, `tables.md` and `figures/*.png` and `*.pdf` into a folder that is there.

    Returns:
        The files.
    """
    figures = folder / "figures"
    figures.mkdir()
    shown, written = [], []
    for picture in pictures(results, cases):
        png = file_bytes(picture.figure, "png")
        for suffix, content in (("png", png), ("pdf", file_bytes(picture.figure, "pdf"))):
            path = figures / f"{picture.name}.{suffix}"
            path.write_bytes(content)
            written.append(path)
        shown.append((picture, base64.b64encode(png).decode("ascii")))
    tables = all_tables(results)
    report, markdown = folder / "report.html", folder / "tables.md"
    report.write_text(html_page(results, tables, shown), encoding="utf-8")
    markdown.write_text(tables_as_markdown(results), encoding="utf-8")
    return [report, markdown, *written]


def pictures(results: EvaluationResults, cases: Sequence[Case]) -> Iterator[Picture]:
    """Yield the pictures that the results have something to say in, one at a time."""
    name = results.evaluated
    oracles = _oracles_in_words(results, results.conditions)
    if any(c.score(method, "accuracy") for c in results.conditions for method in c.scores):
        yield Picture(
            "conditions",
            "Accuracy and depth error under every condition, with 95 % intervals. Black strokes: "
            "the constant baseline: the more frequent answer of each frame, and the mean depth."
            + oracles,
            draw_conditions(results),
        )
    for key, label, scale, words in (
        ("accuracy", "pixels right (%)", 100.0, "Accuracy"),
        ("dice", "Dice", 1.0, "Dice coefficient"),
        ("depth_error_um", "depth error (µm)", 1.0, "Mean absolute depth error"),
    ):
        figure = draw_curves(results, key, label, scale)
        if figure is not None:
            caption = (
                f"{words} over what varies, all else as in the reference; bars are 95 % intervals. "
                "Layers and coverage have scales of their own."
                + (oracles if key != "depth_error_um" else "")
            )
            yield Picture(f"curves-{key.removesuffix('_um').replace('_', '-')}", caption, figure)
    for condition in results.conditions:
        figure = draw_over_depth(results, condition)
        if figure is not None:
            bounds = bounds_caption(condition.depth_limit)
            yield Picture(
                f"depth-{condition.name}",
                f"Over the depth of the layer: {condition_label(condition)}. Bands are 95 % "
                f"intervals; bins of fewer than {FEWEST_LAYERS} layers are left out.{bounds}"
                + _oracles_in_words(results, [condition]),
                figure,
            )
    yield from _probabilities_and_foci(results)
    for case in cases:
        yield Picture(
            f"case-{case.title}",
            f"The {case.title} scene by accuracy; captures on a square-root grey scale.",
            draw_case(case, pixel_pitch_um=results.pixel_pitch_um, name=name),
        )


def _probabilities_and_foci(results: EvaluationResults) -> Iterator[Picture]:
    """Yield the pictures of what is stated of pixels, and of which foci are found."""
    for name, figure, caption in (
        (
            "reliability",
            draw_reliability(results),
            "Reliability: of all pixels that were said to hold cells with a probability, the "
            "share that does. On the diagonal, what is said comes true.",
        ),
        (
            "families",
            draw_families(results),
            "Reliability of each family that nothing was trained on, the worst first; in "
            "brackets the calibration error of the evaluated method.",
        ),
        (
            "detection",
            draw_detection(results),
            "Foci of which at least one pixel was found, by their size. Whoever marks all "
            "finds all, and one blob is no false focus: read what is in brackets.",
        ),
    ):
        if figure is not None:
            yield Picture(name, caption, figure)


def tables_as_markdown(results: EvaluationResults) -> str:
    """Return all tables as one Markdown text."""
    lines = [f"# {_title(results)}", "", _lead(results), ""]
    for table in all_tables(results):
        lines += table.markdown()
    return "\n".join([*lines, _provenance(results), ""])


def html_page(
    results: EvaluationResults, tables: Sequence[Table], shown: Sequence[tuple[Picture, str]]
) -> str:
    """Return the whole page; nothing in it is fetched from anywhere."""
    title = html.escape(_title(results))
    notes = _notes(results)
    first, others = tables[:2], tables[2:]
    body = [
        *(html_table(table) for table in first),
        *(html_figure(picture.caption, data) for picture, data in shown),
        *(html_table(table) for table in others),
        *([f"<h2>Warnings</h2><ul>{notes}</ul>"] if notes else []),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>\n"
        f'<h1>{title}</h1><p class="lead">{html.escape(_lead(results))}</p>\n'
        + "\n".join(body)
        + f"\n<footer><p>{html.escape(_provenance(results))}</p></footer>\n</body></html>\n"
    )


def html_table(table: Table) -> str:
    """Return a table under its heading; columns of words are set to the left."""
    columns = list(zip(*table.rows, strict=True)) or [() for _ in table.columns]
    kinds = ["words" if any(len(c) > WORDS for c in cells) else "" for cells in columns]
    if kinds[0] == "":
        kinds[0] = "name"
    head = "".join(
        f'<th scope="col"{_class(kind)}>{html.escape(column)}</th>'
        for column, kind in zip(table.columns, kinds, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td{_class(kind)}>{_html_cell(cell)}</td>"
            for cell, kind in zip(row, kinds, strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    return (
        f"<h2>{html.escape(table.title)}</h2><p>{html.escape(table.note)}</p>"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def html_figure(caption: str, data: str) -> str:
    """Return a picture, as base64 of a PNG, with its caption."""
    caption = html.escape(caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def file_bytes(figure: Figure, suffix: str) -> bytes:
    """Return a figure's file; without dates, so that the same results give the same bytes."""
    buffer = BytesIO()
    metadata = {"CreationDate": None} if suffix == "pdf" else {"Software": None}
    figure.savefig(buffer, format=suffix, dpi=PNG_DPI, metadata=metadata)
    return buffer.getvalue()


def _oracles_in_words(results: EvaluationResults, conditions: Sequence[ConditionResult]) -> str:
    """Say what those know who are told truths, and who stands in the tables alone.

    Args:
        results: of an evaluation.
        conditions: that a picture shows.
    """
    shown = pictured(results)
    text = ""
    for name in shown:
        about = results.methods[name]
        if not any(is_scored(condition, name) for condition in conditions):
            continue
        if about.kind == "limit":
            text += f" Stars: {name}, a limit; it is told {about.inputs}."
        elif about.oracle:
            text += f" Hollow: {name}, told the true depths."
    if len(shown) < len(results.methods):
        text += " Solvers told the true depths stand in the tables."
    return text


def _title(results: EvaluationResults) -> str:
    if results.suite.name == "data":
        return f"{results.evaluated} on {condition_label(results.conditions[0])}"
    return f"{results.evaluated} on the {results.suite.name} suite"


def _lead(results: EvaluationResults) -> str:
    scenes = sum(condition.scenes for condition in results.conditions)
    beside = len(results.methods) - 1
    baselines = f", beside {beside} baseline(s)" if beside else ""
    if results.suite.name == "data":
        return f"{scenes} samples{baselines}, scored on the truth that the files hold."
    return (
        f"{scenes} unseen scenes under {len(results.conditions)} condition(s){baselines}. "
        "Simulation only: no capture of a real specimen with known truth is in it."
    )


def _provenance(results: EvaluationResults) -> str:
    suite = results.suite
    number = "" if suite.version is None else f" version {suite.version}"
    packages = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    seeds = ", ".join(str(c.seed) for c in results.conditions if c.seed is not None)
    text = f"Suite {suite.name}{number}; {packages}."
    if seeds:
        text += f" Seeds of the scenes: {seeds}; of validation: {suite.validation_seed}."
    return text


def _notes(results: EvaluationResults) -> str:
    return "".join(
        f"<li>{html.escape(condition_label(c))}: {html.escape(note)}</li>"
        for c in results.conditions
        for note in c.notes or ()
    )


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _html_cell(cell: str) -> str:
    """Return a cell whose interval, in brackets, moves to the next line as a whole."""
    return re.sub(r"(\([^()]+ … [^()]+\))", r'<span class="range">\1</span>', html.escape(cell))
