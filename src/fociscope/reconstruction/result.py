"""The reconstruction: what is known of each layer, and how it is saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fociscope.files.atomic import atomic_folder
from fociscope.imager.geometry import Imager
from fociscope.reconstruction.foci import CELL_DIAMETER_UM
from fociscope.reconstruction.output import DEFAULT_FORMATS, FORMATS, OF_SERIES, write_result
from fociscope.reconstruction.tables import Tables

__all__ = ["FORMATS", "Reconstruction"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Reconstruction:
    """The layered map of one capture, or of many along the leading axes."""

    probability: Floats
    """(..., layer, y, x) calibrated probability of cells."""
    presence: Floats
    """(..., layer) calibrated probability that there is such a layer; it does not increase."""
    intensity: Floats
    """(..., layer, y, x) restored image of each layer: the light it sends onto sensor A, in the
    units of that sensor's image; nothing where a layer is absent."""
    depth_um: Floats
    """(..., layer) distance from sensor A, not decreasing; an absent layer's means nothing."""
    depth_std_um: Floats
    """(..., layer) standard deviation of the depth."""
    captures: Floats
    """(..., sensor, y, x) what was reconstructed, the chip's peculiarities taken out."""
    reprojection: Floats
    """(..., sensor, y, x) what the imager would see of the reconstruction, at each sensor's best
    fitting gain."""
    imager: Imager
    """The instrument that the self-check assumes."""
    model: str
    """Name of the model."""
    precision: str = "float32"
    """In what numbers the network was run."""
    good_pixels: NDArray[np.bool_] | None = None
    """(sensor, y, x) which pixels the self-check believes; None for all."""
    suspicion: NDArray[np.str_] | None = None
    """(...) in words why a capture may not be what the model takes it for; empty where it may."""
    warnings: tuple[str, ...] = ()
    """What was said of the imager when the model was loaded."""

    @property
    def present(self) -> NDArray[np.bool_]:
        """(..., layer): whether there is such a layer, more likely than not."""
        return np.asarray(self.presence >= 0.5)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(..., layer, y, x): where cells are more likely than not; empty in an absent layer."""
        return (self.probability > 0.5) & self.present[..., None, None]

    @property
    def plausible(self) -> NDArray[np.bool_]:
        """(...): whether nothing speaks against the capture being the imager's."""
        if self.suspicion is None:
            return np.ones(self.depth_um.shape[:-1], dtype=np.bool_)
        return np.asarray(self.suspicion == "")

    @property
    def depth_map_um(self) -> Floats:
        """(..., layer, y, x): the layer's depth where there are cells, 0 elsewhere."""
        return (self.mask * self.depth_um[..., None, None]).astype(np.float32)

    @property
    def residual(self) -> Floats:
        """(..., sensor): |reprojection - capture| / |capture|, the physical self-check."""
        good = 1 if self.good_pixels is None else self.good_pixels
        captures = self.captures.astype(np.float64) * good  # its squares fit, in any unit of light
        error = np.linalg.norm(self.reprojection * good - captures, axis=(-2, -1))
        norm = np.linalg.norm(captures, axis=(-2, -1))
        return np.asarray(error / norm, dtype=np.float32)

    def frame(self, number: int) -> Reconstruction:
        """Return one capture of a series, or this one if it is no series."""
        if self.captures.ndim == 3:
            return self
        arrays = {
            name: getattr(self, name).reshape(-1, *getattr(self, name).shape[-axes:])[number]
            for name, axes in (
                ("probability", 3),
                ("presence", 1),
                ("intensity", 3),
                ("depth_um", 1),
                ("depth_std_um", 1),
                ("captures", 3),
                ("reprojection", 3),
            )
        }
        if self.suspicion is not None:
            arrays["suspicion"] = np.asarray(self.suspicion.reshape(-1)[number])
        return replace(self, **arrays)

    @property
    def self_check(self) -> str:
        """The residual of each sensor in words; of one capture."""
        residuals = zip("AB", self.residual, strict=False)
        return ", ".join(f"{sensor} {100 * r:.1f} %" for sensor, r in residuals)

    def summary(self, tables: Tables | None = None) -> dict[str, Any]:
        """Return the figures of each layer, ready for JSON, with units in the names.

        Args:
            tables: of this reconstruction, if they are at hand.
        """
        lead = self.depth_um.shape[:-1]
        mask, residual = self.mask, self.residual
        tables = tables or Tables.of(self)
        frames = [
            self._frame_summary(index, mask[index], residual[index], tables, number)
            for number, index in enumerate(np.ndindex(lead))
        ]
        return {
            "model": self.model,
            "precision": self.precision,
            "imager": self.imager.model_dump(mode="json"),
            "frame_px": list(self.probability.shape[-2:]),
            "pixel_pitch_um": self.imager.pixel_pitch_um,
            "warnings": list(self.warnings),
            **self._bad_pixels(),
            "captures": frames,
        }

    def _bad_pixels(self) -> dict[str, Any]:
        if self.good_pixels is None:
            return {}
        count = (~self.good_pixels).sum(axis=(-2, -1))
        return {"bad_pixels": {s: int(n) for s, n in zip("AB", count, strict=False)}}

    def _frame_summary(
        self,
        index: tuple[int, ...],
        mask: NDArray[np.bool_],
        residual: Floats,
        tables: Tables,
        number: int,
    ) -> dict[str, Any]:
        sensors = "AB"[: self.captures.shape[-3]]
        pixel_mm2 = (self.imager.pixel_pitch_um / 1000) ** 2
        return {
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
                    self.presence[index],
                    self.depth_um[index],
                    self.depth_std_um[index],
                    mask,
                    self.probability[index],
                    tables.foci_count[number],
                    tables.cells[number],
                    strict=True,
                )
            ],
            "self_check_residual": {
                sensor: round(float(r), 4) for sensor, r in zip(sensors, residual, strict=True)
            },
            "plausible": bool(self.plausible[index]),
            "suspicion": "" if self.suspicion is None else str(self.suspicion[index]),
        }

    def write_into(
        self,
        folder: Path,
        formats: Sequence[str] = DEFAULT_FORMATS,
        *,
        cell_diameter_um: float = CELL_DIAMETER_UM,
        names: Sequence[str] = (),
        **more: Any,
    ) -> list[Path]:
        """Write the files of `formats` and `summary.json` into a folder that is there.

        Args:
            folder: where to.
            formats: some of `FORMATS`.
            cell_diameter_um: of a typical cell, for the number of cells.
            names: of the frames' files, for `frames.csv`.
            more: further entries of the summary, such as the inputs.

        Returns:
            The files.

        Raises:
            FociscopeError: an unknown format, or more than one leading axis.
        """
        return write_result(
            self, folder, formats, cell_diameter_um=cell_diameter_um, names=names, **more
        )

    def save(
        self,
        folder: Path | str,
        formats: Sequence[str] = DEFAULT_FORMATS,
        *,
        overwrite: bool = False,
    ) -> None:
        """Write the files into a new folder, or none at all.

        Raises:
            OutputExistsError: the folder holds something, and `overwrite` was not asked for.
        """
        with atomic_folder(Path(folder), overwrite, removes=OF_SERIES) as part:
            self.write_into(part, formats)
