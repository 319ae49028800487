"""The volume of one capture or of many, and the files that it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.errors import FociscopeError
from fociscope.files.arrays.mat_writer import write_mat_arrays
from fociscope.files.ome.tiff import write_ome_tiff
from fociscope.files.ome.zarr import Channel, write_ome_zarr
from fociscope.files.safe.atomic import atomic_path
from fociscope.files.safe.records import write_record
from fociscope.imager.geometry import Imager
from fociscope.networks.volume_copula import VolumeCopula
from fociscope.networks.volume_foci import VolumeFoci, find_volume_foci
from fociscope.registry import unknown_name
from fociscope.residuals import relative_residual
from fociscope.results.foci import CELL_DIAMETER_UM
from fociscope.results.parts import FILES, SUMMARY, checksums
from fociscope.results.volume_regrid import Grid, grid_edges, overlaps
from fociscope.results.volume_samples import VolumeSamples, draw_samples, write_samples
from fociscope.results.writers import result_folder
from fociscope.typing import Float32Array

__all__ = ["DEFAULT_VOLUME_FORMATS", "VOLUME_FORMATS", "VolumeMap", "write_volume"]

#: Formats of volumes, and the files of each.
VOLUME_FORMATS: dict[str, tuple[str, ...]] = {
    "ome-tiff": ("probability.ome.tif", "intensity.ome.tif"),
    "ome-zarr": ("reconstruction.ome.zarr",),
    "mat": ("reconstruction.mat",),
    "npz": ("reconstruction.npz",),
    "csv": ("foci.csv",),
}
DEFAULT_VOLUME_FORMATS = ("ome-tiff", "csv")


@dataclass(frozen=True, repr=False)
class VolumeMap:
    """Probability of cells and light on a grid of depths, as a volume model finds them.

    Attributes:
        probability: (..., slice, y, x) calibrated probability of cells in each voxel.
        intensity: (..., slice, y, x) light that reaches sensor A, in the units of its image.
        slice_um: (slice,) depth of the middle of each slice below sensor A in um.
        captures: (..., sensor, y, x) the captures, corrected.
        reprojection: (..., sensor, y, x) what the imager would see of the light.
        imager: Instrument of the captures.
        model: Name of the model.
        focus_threshold: Probability near a voxel from which on it belongs to a focus.
        spread_scale: Standard deviation of a depth by the spread of its probability.
        warnings: Reasons not to trust the volume.
        copula: How voxels go together, for samples; None where the model's file does not say.

    Examples:
        >>> import numpy as np
        >>> from fociscope.imager import Imager
        >>> from fociscope.results import VolumeMap
        >>> light, captures = np.zeros((5, 51, 51), np.float32), np.ones((2, 51, 51), np.float32)
        >>> light[2, 25, 25] = 0.9
        >>> volume = VolumeMap(
        ...     light, light, np.arange(100.0, 1000, 200), captures, captures, Imager.reference(),
        ...     model="own",
        ... )
        >>> volume
        <VolumeMap: 5 slices of 51x51 pixels, 100 to 900 µm, model own>
        >>> volume.foci().depth_um
        array([500.])
    """

    probability: Float32Array
    intensity: Float32Array
    slice_um: Float32Array
    captures: Float32Array
    reprojection: Float32Array
    imager: Imager
    model: str
    focus_threshold: float = 0.5
    spread_scale: float = 1.0
    warnings: tuple[str, ...] = ()
    copula: VolumeCopula | None = None

    def __repr__(self) -> str:
        """Return one line: shape, depths, model."""
        *lead, slices, height, width = self.probability.shape
        many = f"{'x'.join(map(str, lead))} captures, " if lead else ""
        return (
            f"<VolumeMap: {many}{slices} slices of {height}x{width} pixels, "
            f"{self.slice_um[0]:.0f} to {self.slice_um[-1]:.0f} µm, model {self.model}>"
        )

    @property
    def residual(self) -> Float32Array:
        """(..., sensor) |reprojection - capture| / |capture|, the physical self-check."""
        captures, seen = self.captures.astype(np.float64), self.reprojection.astype(np.float64)
        residual = relative_residual(seen, captures, dark=np.nan)
        return np.asarray(residual, dtype=np.float32)

    @property
    def depth_distribution(self) -> Float32Array:
        """(..., slice, y, x) share of a column's expected cells that each slice holds."""
        total = self.probability.sum(axis=-3, keepdims=True)
        return np.asarray(self.probability / np.maximum(total, 1e-12), dtype=np.float32)

    @property
    def column_probability(self) -> Float32Array:
        """(..., y, x) expected number of voxels with cells in each column."""
        return np.asarray(self.probability.sum(axis=-3))

    @property
    def depth_map_um(self) -> Float32Array:
        """(..., y, x) mean depth of the cells of each column in um."""
        z = np.asarray(self.slice_um, np.float32)[:, None, None]
        return np.asarray((self.depth_distribution * z).sum(axis=-3), dtype=np.float32)

    @property
    def depth_std_um(self) -> Float32Array:
        """(..., y, x) spread of the depth of the cells of each column in um.

        It holds both what the captures do not tell, and how far the cells of a column lie apart.
        """
        away = np.asarray(self.slice_um)[:, None, None] - self.depth_map_um[..., None, :, :]
        variance = (self.depth_distribution * away**2).sum(axis=-3)
        return np.asarray(np.sqrt(variance), dtype=np.float32)

    def frame(self, number: int) -> VolumeMap:
        """Return one capture of many, all leading axes counted as one; itself if it is one."""
        if self.probability.ndim == 3:
            return self
        names = ("probability", "intensity", "captures", "reprojection")
        return replace(
            self,
            **{
                name: getattr(self, name).reshape(-1, *getattr(self, name).shape[-3:])[number]
                for name in names
            },
        )

    def foci(self, *, cell_diameter_um: float = CELL_DIAMETER_UM) -> VolumeFoci:
        """Find the foci of one capture in three dimensions.

        Args:
            cell_diameter_um: Diameter of a typical cell in um, for the number of cells.

        Returns:
            The foci, the surest first.

        Raises:
            FociscopeError: If this holds several captures, or the diameter is not above 0.
        """
        if self.probability.ndim != 3:
            raise FociscopeError("foci are found in one volume; take it by frame(number)")
        return find_volume_foci(
            self.probability,
            self.intensity,
            self.slice_um,
            pitch_um=self.imager.square_pitch_um,
            threshold=self.focus_threshold,
            spread_scale=self.spread_scale,
            cell_diameter_um=cell_diameter_um,
        )

    def samples(self, count: int, *, seed: int = 0) -> VolumeSamples:
        """Draw volumes that the capture leaves possible, foci as wholes.

        Args:
            count: Number of samples.
            seed: Seed of all that is random.

        Returns:
            The samples, each as likely as any other.

        Raises:
            FociscopeError: If this holds several captures, or the model's file does not say how
                voxels go together.
        """
        if self.probability.ndim != 3:
            raise FociscopeError("samples are drawn of one volume; take it by frame(number)")
        if self.copula is None:
            raise FociscopeError(
                f"the model {self.model} holds no correlation of voxels, which samples need; take "
                "a shipped model, or train anew by a recipe for volumes",
                fields=("samples",),
            )
        known = self.residual[np.isfinite(self.residual)]
        return draw_samples(
            self.probability,
            self.intensity,
            self.slice_um,
            self.copula,
            pitch_um=self.imager.square_pitch_um,
            residual=float(known.max(initial=0.0)),
            count=count,
            seed=seed,
        )

    def on_grid(self, grid: Grid) -> VolumeMap:
        """Return this volume on another grid of depths; a column keeps its expected cells.

        Args:
            grid: Number of slices of equal thickness over the whole gap, or the first edge, the
                last one and the step in um.

        Raises:
            FociscopeError: If the grid is none, or leaves the gap.
        """
        edges = grid_edges(grid, self.imager.gap_um)
        share = overlaps(self.slice_um, edges, self.imager.gap_um)
        probability, intensity = (
            np.einsum("ts,...syx->...tyx", share, values).astype(np.float32)
            for values in (self.probability, self.intensity)
        )
        return replace(
            self,
            probability=np.minimum(probability, np.float32(1)),
            intensity=intensity,
            slice_um=(0.5 * (edges[:-1] + edges[1:])).astype(np.float32),
        )

    def summary(self, *, cell_diameter_um: float = CELL_DIAMETER_UM) -> dict[str, Any]:
        """Return the figures of one volume, ready for JSON, with units in the names."""
        foci = self.foci(cell_diameter_um=cell_diameter_um)
        sensors = zip("AB", self.residual, strict=False)
        return {
            "kind": "volume",
            "model": self.model,
            "imager": self.imager.model_dump(mode="json"),
            "pixel_pitch_um": self.imager.square_pitch_um,
            "slice_um": [round(float(z), 3) for z in self.slice_um],
            "expected_voxels": [round(float(p), 3) for p in self.probability.sum(axis=(-2, -1))],
            "foci": len(foci),
            "focus_threshold": self.focus_threshold,
            "spread_scale": self.spread_scale,
            "self_check_residual": {sensor: round(float(r), 4) for sensor, r in sensors},
            "cell_diameter_um": cell_diameter_um,
            "warnings": list(self.warnings),
        }

    def save(
        self,
        folder: Path | str,
        formats: Iterable[str] = DEFAULT_VOLUME_FORMATS,
        *,
        overwrite: bool = False,
    ) -> None:
        """Write files into a folder, all of them or none at all.

        Args:
            folder: Folder to write into; it is made if it is missing.
            formats: Names of formats in `VOLUME_FORMATS`.
            overwrite: Whether results that are there are replaced.

        Raises:
            OutputExistsError: If the folder holds something and `overwrite` is not set.
            FociscopeError: If a format is unknown, this holds several captures, or the disk
                refuses.
        """
        check_volume_formats(formats)
        with result_folder(Path(folder), overwrite) as part:
            write_volume(self, part, tuple(formats))


def check_volume_formats(formats: Iterable[str]) -> None:
    """Refuse names of formats that volumes are not written in."""
    for name in formats:
        if name not in VOLUME_FORMATS:
            raise unknown_name("format of volumes", name, tuple(VOLUME_FORMATS), field="formats")


def write_volume(
    volume: VolumeMap,
    folder: Path,
    formats: Sequence[str],
    *,
    cell_diameter_um: float = CELL_DIAMETER_UM,
    samples: VolumeSamples | None = None,
    **more: Any,
) -> list[Path]:
    """Write the files of `formats` and `summary.json` into a folder that is there.

    Args:
        volume: Volume of one capture.
        folder: Folder to write into.
        formats: Names in `VOLUME_FORMATS`.
        cell_diameter_um: Diameter of a typical cell in um, for the number of cells.
        samples: Volumes drawn from its posterior; their table, and the spread of their light
            beside the images, are written, too.
        more: Further entries of the summary, such as the inputs.

    Returns:
        Paths of the files, `summary.json` last.

    Raises:
        FociscopeError: If there are several captures, or the disk refuses.
    """
    if volume.probability.ndim != 3:
        raise FociscopeError(
            "files of volumes hold one capture; save each by itself (frame(number))"
        )
    written: list[Path] = []
    for name in VOLUME_FORMATS:
        if name in formats:
            written += _WRITERS[name](volume, folder, cell_diameter_um)
    summary = {**more, **volume.summary(cell_diameter_um=cell_diameter_um)}
    if samples is not None:
        written += write_samples(samples, folder, tuple(formats))
        summary["samples"] = samples.summary()
    write_record(folder / SUMMARY, {**summary, FILES: checksums(written)}, indent=2)
    return [*written, folder / SUMMARY]


def _write_ome_tiffs(volume: VolumeMap, folder: Path, _: float) -> list[Path]:
    paths = [folder / name for name in VOLUME_FORMATS["ome-tiff"]]
    for path, array in zip(paths, (volume.probability, volume.intensity), strict=True):
        write_ome_tiff(
            path,
            array,
            pixel_pitch_um=volume.imager.square_pitch_um,
            depth_um=volume.slice_um,
            channel_name=path.name.removesuffix(".ome.tif"),
        )
    return paths


def _write_zarr(volume: VolumeMap, folder: Path, _: float) -> list[Path]:
    path = folder / VOLUME_FORMATS["ome-zarr"][0]
    brightest = float(f"{volume.intensity.max():.7g}")
    write_ome_zarr(
        path,
        np.stack([volume.probability, volume.intensity]),
        {"depth_um": volume.slice_um},
        channels=[Channel("probability", 1.0, "FFFFFF"), Channel("intensity", brightest, "00FF00")],
        pixel_pitch_um=volume.imager.square_pitch_um,
        layer_um=volume.imager.gap_um / len(volume.slice_um),
        about={"model": volume.model, "imager": volume.imager.name, "kind": "volume"},
    )
    return [path]


def _arrays(volume: VolumeMap) -> dict[str, Any]:
    return {
        "probability": volume.probability,
        "intensity": volume.intensity,
        "slice_um": volume.slice_um,
        "depth_map_um": volume.depth_map_um,
        "depth_std_um": volume.depth_std_um,
        "captures": volume.captures,
        "reprojection": volume.reprojection,
        "residual": volume.residual,
        "pixel_pitch_um": np.asarray(volume.imager.square_pitch_um),
    }


def _write_npz(volume: VolumeMap, folder: Path, _: float) -> list[Path]:
    path = folder / VOLUME_FORMATS["npz"][0]
    with atomic_path(path) as part, part.open("wb") as stream:
        np.savez(stream, **_arrays(volume))
    return [path]


def _write_mat(volume: VolumeMap, folder: Path, _: float) -> list[Path]:
    path = folder / VOLUME_FORMATS["mat"][0]
    write_mat_arrays(path, _arrays(volume), text="volume of Fociscope: axes are slice, y, x")
    return [path]


def _write_csv(volume: VolumeMap, folder: Path, cell_diameter_um: float) -> list[Path]:
    foci = volume.foci(cell_diameter_um=cell_diameter_um)
    names = [each.name for each in fields(foci)]
    rows = [",".join(names)]
    columns = [getattr(foci, name) for name in names]
    rows += [",".join(f"{value:.6g}" for value in row) for row in zip(*columns, strict=True)]
    path = folder / VOLUME_FORMATS["csv"][0]
    with atomic_path(path) as part:
        part.write_text("\n".join(rows) + "\n", encoding="ascii")
    return [path]


_WRITERS = {
    "ome-tiff": _write_ome_tiffs,
    "ome-zarr": _write_zarr,
    "mat": _write_mat,
    "npz": _write_npz,
    "csv": _write_csv,
}
