"""Following an instrument: each capture is reconstructed as soon as it is whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fociscope.reconstruction.correction import ChipCorrection
from fociscope.reconstruction.engine import Model
from fociscope.results.summary import summarise
from fociscope.results.tables import TIME, Labels, as_written
from fociscope.results.writers import check_formats
from fociscope.series.folder import SERIES_FORMATS, SeriesFolder, frame_names, open_series_folder
from fociscope.series.following import ARRIVED, LATENCY, Follower, Latency, WatchState
from fociscope.series.frames import FrameOptions, reconstruct_frames
from fociscope.series.options import ReconstructionOptions
from fociscope.series.series import (
    SeriesOutcome,
    series_about,
    work_identity,
)
from fociscope.series.watcher import Watcher, watch_paths
from fociscope.typing import Float32Array

__all__ = ["watch_captures"]


def watch_captures(
    model: Model,
    paths: Sequence[Path],
    folder: Path | str,
    options: ReconstructionOptions | None = None,
    *,
    correction: ChipCorrection | None = None,
    about: Mapping[str, Any] | None = None,
    black_level_counts: float | None = None,
    idle_s: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
    report: Callable[[WatchState], None] | None = None,
) -> SeriesOutcome:
    """Reconstruct captures as they arrive, until stopped.

    After a kill, `options.resume` continues behind the last frame that `journal.json` holds. A
    capture that cannot be read or reconstructed is left out and reported; the others continue.

    Args:
        model: Model from `load_model`. It carries what `options` say of model, imager, device,
            precision and refinement, so those fields are not read here.
        paths: A folder of images, or sensor A's and sensor B's; or TIFF stacks that grow.
        folder: Folder of the results, made if it does not exist.
        options: Preparation (flips and crop), pages, layers, tiles, formats (`csv` always, and
            `ome-zarr` if it is among them), cell diameter, resume and overwrite.
        correction: Dark frames, flat frames and bad pixels of the chip.
        about: Further entries of `summary.json`.
        black_level_counts: Level that the imager states, subtracted if the first capture holds it
            and there is no dark frame; None if it states none.
        idle_s: Seconds without a new capture after which the watch ends; None waits for ever.
        stopped: Function asked before each look; True ends the watch.
        report: Function called after each look that found something.

    Returns:
        Number of frames, summary and files.

    Raises:
        FociscopeError: if there is nothing to follow, no capture came, the watched folder or stack
            cannot be read for `growing_file.GIVEN_UP_S`, the disk refuses, or another run writes
            into the folder.

    Examples:
        >>> import shutil, tempfile
        >>> from importlib import resources
        >>> from pathlib import Path
        >>> import fociscope
        >>> from fociscope.series import ReconstructionOptions, watch_captures
        >>> model = fociscope.load_model("layers-ab", device="cpu")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     arrivals = Path(folder) / "arrivals"
        ...     arrivals.mkdir()
        ...     for sensor in "ab":
        ...         image = resources.files("fociscope.demo") / f"sensor_{sensor}.tif"
        ...         _ = shutil.copy(image, arrivals / f"1_{sensor.upper()}.tif")
        ...     outcome = watch_captures(
        ...         model, [arrivals], f"{folder}/maps", ReconstructionOptions(formats=("csv",)),
        ...         idle_s=0.2,
        ...     )
        >>> outcome.frames
        1
    """
    options = options or ReconstructionOptions()
    chosen = options.chosen_formats or SERIES_FORMATS
    check_formats(chosen, SERIES_FORMATS)
    formats = sorted({*chosen, "csv"})  # which captures are done is known from its names
    each = FrameOptions(options.layers, correction, options.tile_px)
    identity = {
        **work_identity(model, each, formats, options.cell_diameter_um),
        "precision": model.precision,  # of frames whose size is not known yet
        "preparation": options.preparation.model_dump_json(),
        "meaning of pages": options.pages,
        "set of paths": " + ".join(as_written(path.name) for path in paths),
        "set of columns": " ".join((TIME, ARRIVED, LATENCY)),
    }
    with open_series_folder(
        Path(folder),
        formats=formats,
        identity=identity,
        frames_per_chunk=1,
        cell_diameter_um=options.cell_diameter_um,
        resume=options.resume,
        overwrite=options.overwrite,
    ) as output:
        source = watch_paths(
            paths,
            sensors=model.info.architecture.sensors,
            known=frame_names(output.folder),
            preparation=options.preparation,
            allow_non_finite=correction is not None,
            pages=options.pages,
            pixel_order=model.imager.pixel_order(),
        )
        before = output.frames
        watch = _MapFollower(model, source, output, each, black_level_counts)
        watch.follow(idle_s, stopped, report)
        followed = [as_written(path.name) for path in paths]
        summary = output.finish(watch.about(dict(about or {}), followed), goes_on=True)
        return SeriesOutcome(output.frames, output.frames - before, summary, output.files)


class _MapFollower(Follower):
    """Reconstructs what comes."""

    def __init__(
        self,
        model: Model,
        source: Watcher,
        output: SeriesFolder,
        options: FrameOptions,
        black_level_counts: float | None = None,
    ) -> None:
        super().__init__(
            source,
            output,
            model.imager,
            name=model.info.name,
            correction=options.correction,
            black_level_counts=black_level_counts,
        )
        self._model, self._maps, self._options = model, output, options

    def append(
        self, captures: Float32Array, names: Sequence[str], labels: Labels, latency: Latency
    ) -> tuple[list[dict[str, Any]], Labels]:
        """Reconstruct captures and append their maps."""
        options = replace(self._options, correction=self.correction)
        result = reconstruct_frames(self._model, captures, options)
        of_frames = latency()
        tables = self._maps.append(result, names, labels=labels, of_frames=of_frames)
        return summarise(result, tables)["captures"], of_frames

    def described(self) -> dict[str, Any]:
        """Return what the summary says of the model and the frames."""
        return series_about(self._model, *self.frame_px, self._options)
