"""A layered map as a table in HTML, as notebooks show it."""

from __future__ import annotations

from html import escape

from fociscope.results._layered_map import LayeredMap

__all__ = ["as_html"]

#: Captures whose layers are listed; of the others, the number is stated.
MOST_CAPTURES = 8
_HEAD = ("layer", "presence", "depth (µm)", "cells on")


def as_html(result: LayeredMap) -> str:
    """Return one row per layer of the first captures, and what one line of text says above it."""
    count = result.depth_um[..., 0].size
    is_series = result.captures.ndim > 3
    head = (*(("capture",) if is_series else ()), *_HEAD)
    rows = [
        row
        for number in range(min(count, MOST_CAPTURES))
        for row in _rows(result.frame(number), _capture(result, number) if is_series else None)
    ]
    more = f"<p>and {count - MOST_CAPTURES} more captures</p>" if count > MOST_CAPTURES else ""
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    return (
        f"<div><p>{escape(repr(result)[1:-1])}</p>"
        f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table>{more}</div>"
    )


def _capture(result: LayeredMap, number: int) -> str:
    """Return the number of a capture, from 0, and the name of its file."""
    return f"{number} ({result.names[number]})" if result.names else str(number)


def _rows(one: LayeredMap, capture: str | None) -> list[str]:
    """Return one row of HTML per layer of one capture."""
    flag = "" if one.quality_flags is None else str(one.quality_flags)
    rows = []
    for layer, present in enumerate(one.present):
        values = [
            *(() if capture is None else (capture,)),
            str(layer),
            f"{100 * one.presence[layer]:.0f} %",
            f"{one.depth_um[layer]:.0f} ± {one.depth_std_um[layer]:.0f}" if present else "absent",
            f"{100 * one.mask[layer].mean():.1f} %",
        ]
        rows.append("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in values) + "</tr>")
    if flag:
        span = 4 if capture is None else 5
        rows.append(f'<tr><td colspan="{span}">warning: {escape(flag)}</td></tr>')
    return rows
