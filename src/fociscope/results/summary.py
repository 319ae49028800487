"""The figures of a layered map that go into `summary.json`."""

from __future__ import annotations

from typing import Any

import numpy as np

from fociscope.results._layered_map import LayeredMap
from fociscope.results.tables import Tables
from fociscope.typing import BoolArray, Float32Array

__all__ = ["summarise"]


def summarise(result: LayeredMap, tables: Tables) -> dict[str, Any]:
    """Return the figures of each layer, ready for JSON, with units in the names.

    Args:
        result: of one capture or of many.
        tables: of this result.
    """
    lead = result.depth_um.shape[:-1]
    mask, residual = result.mask, result.residual
    frames = [
        _frame_summary(result, index, mask[index], residual[index], tables, number)
        for number, index in enumerate(np.ndindex(lead))
    ]
    return {
        "model": result.model,
        "precision": result.precision,
        "imager": result.imager.model_dump(mode="json"),
        "frame_px": list(result.probability.shape[-2:]),
        "pixel_pitch_um": result.imager.square_pitch_um,
        "warnings": list(result.warnings),
        **_bad_pixels(result),
        "is_series": bool(lead),
        **_focus_probability(result),
        **_guarantees(result),
        "captures": frames,
    }


def _bad_pixels(result: LayeredMap) -> dict[str, Any]:
    if result.good_pixels is None:
        return {}
    count = (~result.good_pixels).sum(axis=(-2, -1))
    return {"bad_pixels": {s: int(n) for s, n in zip("AB", count, strict=False)}}


def _focus_probability(result: LayeredMap) -> dict[str, Any]:
    if result.focus_probability is None:
        return {}
    return {"focus_probability": result.focus_probability.model_dump(mode="json")}


def _guarantees(result: LayeredMap) -> dict[str, Any]:
    if result.guarantees is None:
        return {}
    return {"guarantees": result.guarantees.model_dump(mode="json")}


def _frame_summary(
    result: LayeredMap,
    index: tuple[int, ...],
    mask: BoolArray,
    residual: Float32Array,
    tables: Tables,
    number: int,
) -> dict[str, Any]:
    sensors = "AB"[: result.captures.shape[-3]]
    pixel_mm2 = (result.imager.square_pitch_um / 1000) ** 2
    return {
        **({"name": result.names[number]} if result.names else {}),
        **({} if result.time_s is None else {"time_s": float(result.time_s[number])}),
        "layers": [
            {
                "present": bool(presence >= 0.5),
                "presence": round(float(presence), 4),
                "depth_um": round(float(depth), 2),
                "depth_std_um": round(float(std), 2),
                "coverage": round(float(cells.mean()), 4),
                "area_mm2": round(float(cells.sum() * pixel_mm2), 4),
                "expected_coverage": round(float(probability.mean()), 4),
                "foci": int(foci),
                "cells": round(float(of_area), 2),
            }
            for presence, depth, std, cells, probability, foci, of_area in zip(
                result.presence[index],
                result.depth_um[index],
                result.depth_std_um[index],
                mask,
                result.probability[index],
                tables.foci_count[number],
                tables.cells[number],
                strict=True,
            )
        ],
        "self_check_residual": {
            sensor: round(float(r), 4) for sensor, r in zip(sensors, residual, strict=True)
        },
        "plausible": bool(result.plausible[index]),
        "quality_flags": "" if result.quality_flags is None else str(result.quality_flags[index]),
    }
