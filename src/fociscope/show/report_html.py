"""The parts of a report's page: its style, on screens and on A4 paper, tables and pictures."""

from __future__ import annotations

import html
import re

from fociscope.show.report_cells import Table

__all__ = ["STYLE", "html_figure", "html_table"]

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


def html_figure(caption: str, data: str) -> str:
    """Return a picture, as base64 of a PNG, with its caption."""
    caption = html.escape(caption)
    return (
        f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
        f"<figcaption>{caption}</figcaption></figure>"
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


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _html_cell(cell: str) -> str:
    """Return a cell whose interval, in brackets, moves to the next line as a whole."""
    return re.sub(r"(\([^()]+ … [^()]+\))", r'<span class="range">\1</span>', html.escape(cell))
