"""A design study as an HTML report: one file that needs nothing else."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from fociscope.design import DesignScores, DesignStudy, ScoreEstimate
from fociscope.design.chip import PARAMETERS
from fociscope.design.scores import QUALITIES
from fociscope.figures.design import PARAMETER_LABELS, QUALITY_LABELS, draw_design_study
from fociscope.report.cells import NONE, Table
from fociscope.report.page import STYLE, file_bytes, html_figure, html_table

__all__ = ["design_page", "write_design_report"]

#: Designs of a front that a table holds; the files have all.
MOST_ROWS = 30
REFUSED_ROWS = 12
_DIGITS = {"dice": 3, "cell_sensitivity": 3, "information_bits": 2}


def write_design_report(path: Path, study: DesignStudy) -> None:
    """Write the report of a study.

    Args:
        path: HTML file to write.
        study: Study.
    """
    path.write_text(design_page(study), encoding="utf-8")


def design_page(study: DesignStudy) -> str:
    """Return the whole page; nothing in it is fetched from anywhere."""
    title = html.escape(f"Design study of the imager {study.base.name}")
    png = base64.b64encode(file_bytes(draw_design_study(study), "png")).decode("ascii")
    caption = (
        "Each quality over the light of a cell and over what varies; bars are standard errors "
        "over scenes. Filled: no other design of the study is better at the same photons, pixels "
        "and wires or fewer. The star is the base."
    )
    tables = [_best_table(study), *_front_tables(study), *_refused_table(study)]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>\n"
        f'<h1>{title}</h1><p class="lead">{html.escape(_lead(study))}</p>\n'
        + html_table(tables[0])
        + html_figure(caption, png)
        + "\n".join(html_table(table) for table in tables[1:])
        + f"\n<footer><p>{html.escape(_provenance(study))}</p></footer>\n</body></html>\n"
    )


def _lead(study: DesignStudy) -> str:
    space, scored = study.space, [s for s in study.scores if s.refused is None]
    networks = sorted({s.network.model for s in study.scores if s.network is not None})
    by = f"the network {' and '.join(networks)} on {space.scenes} scenes each, and by bounds"
    return (
        f"{len(study.scores)} designs, {len(scored)} of them scored by "
        f"{by if networks else 'bounds alone'}. Simulated tissue of {space.layers} layer(s), cells "
        f"of {space.cell_photons_per_s:g} photons/s. The networks were not trained for any of "
        "these designs; before a chip is built, train one for it."
    )


def _best_table(study: DesignStudy) -> Table:
    fronts = study.fronts()
    base = study.scores[0]
    rows = [["base", *_row(base)]]
    for quality in fronts:
        best = study.best(quality)
        if best is not None:
            rows.append([f"best {QUALITY_LABELS[quality]}", *_row(best)])
    return Table(
        "The base, and the best design by each quality",
        "With standard errors over scenes. The best of many is partly lucky: score it anew with "
        "more scenes and another seed. Of a smaller gap, layers lie closer together, and errors in "
        "µm are smaller.",
        ["design", *_columns()],
        rows,
    )


def _front_tables(study: DesignStudy) -> list[Table]:
    tables = []
    for quality, front in study.fronts().items():
        some = sorted(front, key=lambda s: (s.wires, s.pixels, s.cell_photons))[:MOST_ROWS]
        more = f" The first {MOST_ROWS} of {len(front)}." if len(front) > MOST_ROWS else ""
        tables.append(
            Table(
                f"Front: {QUALITY_LABELS[quality]}",
                "Against photons of a cell, pixels of all sensors, and bundles of wires." + more,
                ["number", *_columns()],
                [[str(scores.number), *_row(scores)] for scores in some],
            )
        )
    return tables


def _refused_table(study: DesignStudy) -> list[Table]:
    refused = [s for s in study.scores if s.refused is not None]
    if not refused:
        return []
    more = f" The first {REFUSED_ROWS} of {len(refused)}." if len(refused) > REFUSED_ROWS else ""
    rows = [
        [
            str(s.number),
            *(_number(s.design.numbers()[name]) for name in PARAMETERS),
            s.refused or "",
        ]
        for s in refused[:REFUSED_ROWS]
    ]
    return [
        Table(
            "Designs that the network cannot score",
            "Their blur or noise lies outside what it was trained for; bounds hold for most of "
            "them." + more,
            ["number", *_parameter_columns(), "reason"],
            rows,
        )
    ]


def _parameter_columns() -> list[str]:
    return [*PARAMETER_LABELS.values(), "sensors"]


def _columns() -> list[str]:
    return [
        *_parameter_columns(), "photons of a cell", "photons in a pixel", "pixels", "field (mm²)",
        *QUALITY_LABELS.values(),
    ]  # fmt: skip


def _row(scores: DesignScores) -> list[str]:
    numbers = scores.design.numbers()
    return [
        *(_number(numbers[name]) for name in PARAMETERS),
        _number(scores.cell_photons),
        NONE if scores.pixel_photons is None else _number(scores.pixel_photons),
        str(scores.pixels),
        _number(scores.field_mm2),
        *(_quality(scores, name) for name in QUALITIES),
    ]


def _quality(scores: DesignScores, name: str) -> str:
    value, digits = scores.quality(name), _DIGITS.get(name, 1)
    if value is None:
        return NONE
    estimate: ScoreEstimate | None = getattr(scores.network, name, None)
    error = "" if estimate is None else f" ± {estimate.std_error:.{digits}f}"
    return f"{value:.{digits}f}{error}"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _provenance(study: DesignStudy) -> str:
    space: Sequence[str] = [
        f"{name} = {value}" for name, value in study.space.model_dump(exclude_defaults=True).items()
    ]
    return f"fociscope {version('fociscope')}. Space: {'; '.join(space)}."
