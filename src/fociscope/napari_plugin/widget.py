"""The dock widget: choose captures, model and imager; reconstruct; look at the map in space.

The job runs in a thread and is `fociscope.workflows.reconstruct_captures`; the widget shows its
progress and places its result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from magicgui.widgets import ComboBox, Container, FileEdit, Label, ProgressBar, PushButton
from napari.layers import Image, Layer
from napari.qt.threading import create_worker
from qtpy.QtCore import QTimer

from fociscope.errors import CaptureError, FociscopeError
from fociscope.files import list_suffixes
from fociscope.napari_plugin.reader import capture_layers
from fociscope.napari_plugin.result_layers import result_layers
from fociscope.napari_plugin.transforms import KEY, LayerData, sync_depths
from fociscope.networks.store import shipped_models
from fociscope.results.result import Reconstruction
from fociscope.typing import Float32Array
from fociscope.workflows import ReconstructionOptions, reconstruct_captures

__all__ = [
    "Cancelled",
    "ReconstructWidget",
    "ReconstructionJob",
    "outcome_in_words",
    "warnings_in_words",
]


#: How often the bar moves.
PROGRESS_MS = 100
#: Where the eye looks, (depth, y, x): down into the tissue from the side, sensor A on top.
VIEW, UP = (0.45, 0.75, 0.4), (-1.0, 0.0, 0.0)
#: Leaves room around the stack, which is wider from corner to corner than from the front.
ZOOM = 0.65
BY_SENSORS = "the usual one for the sensors"
AS_MODEL = "as the model was trained"


class Cancelled(Exception):
    """The user wants no result any more."""


@dataclass
class ReconstructionJob:
    """Captures, how to reconstruct them, and what the thread and the widget tell each other."""

    sensors: list[Any]
    """Each sensor's image or series, A's first: (y, x), (1, y, x), (frame, y, x) or
    (frame, 1, y, x), as napari holds them."""
    model: str | Path | None
    """None for the usual one for so many sensors."""
    imager_file: Path | None = None
    layers: int | None = None
    dark: tuple[Path, ...] = ()
    flat: tuple[Path, ...] = ()
    bad_pixels: tuple[Path, ...] = ()
    """Correction frames: one file each, or sensor A's and sensor B's."""
    done: int = 0
    """How much is done, of `total`; written by the thread."""
    total: int = 0
    is_cancelled: Callable[[], bool] = lambda: False
    """Asked by the thread whenever something is done."""

    def run(self) -> Reconstruction:
        """Reconstruct.

        Raises:
            Cancelled: on request.
            FociscopeError: the imager, the model or the captures are not as they should be.
        """
        options = ReconstructionOptions(
            model=self.model,
            imager=self.imager_file,
            layers=self.layers,
            dark=self.dark,
            flat=self.flat,
            bad_pixels=self.bad_pixels,
        )
        return reconstruct_captures(self.captures(), options, progress=self._progress)

    def captures(self) -> Float32Array:
        """Return (sensor, y, x), or (frame, sensor, y, x) of a series.

        Raises:
            CaptureError: an array is no image and no series, or A's is not like B's.
        """
        arrays = [_one_sensor(array, name) for array, name in zip(self.sensors, "AB", strict=False)]
        shapes = [array.shape for array in arrays]
        if len(set(shapes)) > 1:
            raise CaptureError(
                f"sensor A has the shape {shapes[0]}, sensor B {shapes[1]}; both must be alike"
            )
        return np.stack(arrays, axis=-3)

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        if self.is_cancelled():
            raise Cancelled


class ReconstructWidget(Container):
    """Turns the images of one or two layers into layers of tissue at their depths."""

    def __init__(self, napari_viewer: Any) -> None:
        """Lay the widget out beside a viewer."""
        self._viewer = napari_viewer
        self._job: ReconstructionJob | None = None
        self._worker: Any = None
        self._result: Reconstruction | None = None
        self._make_inputs()
        self._make_corrections()
        self.run = PushButton(text="Reconstruct")
        self.cancel = PushButton(text="Cancel", enabled=False)
        self.bar = ProgressBar(label="", min=0, max=1, value=0)
        self.message = Label(label="", value="")
        self.warning = Label(label="", value="")
        self.save_folder = FileEdit(
            mode="w", label="save into", nullable=True, tooltip="A new or an empty folder"
        )
        self.save = PushButton(text="Save the map", enabled=False)
        super().__init__(
            widgets=[
                self.files,
                self.sensor_a,
                self.sensor_b,
                self.model,
                self.model_file,
                self.imager_file,
                self.layers,
                self.dark,
                self.flat,
                self.bad_pixels,
                Container(widgets=[self.run, self.cancel], layout="horizontal", labels=False),
                self.bar,
                self.warning,
                self.message,
                self.save_folder,
                self.save,
            ]
        )
        for label in (self.message, self.warning):
            label.native.setWordWrap(True)
        self.warning.native.setStyleSheet("color: #e69f00; font-weight: bold")
        self._timer = QTimer(self.native)
        self._timer.setInterval(PROGRESS_MS)
        self._timer.timeout.connect(self._show_progress)
        self.files.changed.connect(self._open)
        self.run.changed.connect(self._start)
        self.cancel.changed.connect(self._cancel)
        self.save.changed.connect(self._save)
        for event in ("inserted", "removed", "renamed"):
            getattr(napari_viewer.layers.events, event).connect(self._layers_changed)
        sync_depths(napari_viewer)
        # After napari's own callback, which takes the depth from the middle of the 3D view.
        napari_viewer.dims.events.ndisplay.connect(self._go_to_fullest, position="last")
        self._choose_captures()

    def _make_inputs(self) -> None:
        """Make the fields for captures, model, imager and number of layers."""
        self.files = FileEdit(
            mode="rm",
            label="open captures",
            filter=f"Captures ({' '.join(f'*{s}' for s in list_suffixes('image'))});;All files (*)",
            tooltip="Sensor A's image, or A's and B's, in this order",
        )
        self.sensor_a = ComboBox(label="sensor A", choices=self._images, nullable=True)
        self.sensor_b = ComboBox(
            label="sensor B",
            choices=self._images,
            nullable=True,
            tooltip="None for an imager with sensor A alone",
        )
        self.model = ComboBox(label="model", choices=[BY_SENSORS, *shipped_models()])
        self.model_file = FileEdit(
            label="or your own",
            filter="Models (*.safetensors)",
            nullable=True,
            tooltip="A model that `fociscope train` made",
        )
        self.imager_file = FileEdit(
            label="imager",
            filter="Imagers (*.toml)",
            nullable=True,
            tooltip="The TOML file of your imager; without it, the model's own",
        )
        self.layers = ComboBox(
            label="layers",
            choices=[(AS_MODEL, 0), *((f"at most {n}", n) for n in range(1, 7))],
        )

    def _make_corrections(self) -> None:
        """Make the fields for the chip's dark, flat and bad-pixel frames."""
        images = f"Images ({' '.join(f'*{s}' for s in list_suffixes('image'))});;All files (*)"

        def frames(label: str, tooltip: str) -> FileEdit:
            each = "; one file, or sensor A's and sensor B's"
            return FileEdit(mode="rm", label=label, filter=images, tooltip=tooltip + each)

        self.dark = frames("dark frame", "Is subtracted")
        self.flat = frames("flat frame", "Even light, by which captures are divided")
        self.bad_pixels = frames("bad pixels", "Differs from 0 at pixels that are filled")

    def _images(self, _: Any) -> list[tuple[str, Any]]:
        return [(layer.name, layer) for layer in self._viewer.layers if isinstance(layer, Image)]

    def _layers_changed(self, _: Any = None) -> None:
        self.sensor_a.reset_choices()
        self.sensor_b.reset_choices()
        self._choose_captures()

    def _choose_captures(self) -> None:
        """Choose the newest layers that say which sensor's they are, where none is chosen yet."""
        for box, sensor in ((self.sensor_a, "A"), (self.sensor_b, "B")):
            found = [layer for layer in self._viewer.layers if _is_sensor(layer, sensor)]
            if found and box.value is None:
                box.value = found[-1]

    def _open(self, paths: Any) -> None:
        try:
            given = [Path(path) for path in paths]
            self._add(capture_layers(given))
        except FociscopeError as error:
            self._tell(str(error))
            return
        newest = {layer.metadata[KEY]["sensor"]: layer for layer in self._viewer.layers[-2:]}
        self.sensor_a.value, self.sensor_b.value = newest.get("A"), newest.get("B")
        self._tell("")

    def _start(self) -> None:
        chosen = [box.value for box in (self.sensor_a, self.sensor_b)]
        if chosen[0] is None:
            self._tell("Choose the layer with sensor A's image, or open captures.")
            return
        layers = [layer for layer in chosen if layer is not None]
        if any(layer.rgb for layer in layers):
            self._tell("A colour image is no capture; convert it to greyscale.")
            return
        job = ReconstructionJob(
            sensors=[layer.data[0] if layer.multiscale else layer.data for layer in layers],
            model=self.model_file.value
            or (None if self.model.value == BY_SENSORS else self.model.value),
            imager_file=self.imager_file.value,
            layers=self.layers.value or None,
            dark=_files(self.dark),
            flat=_files(self.flat),
            bad_pixels=_files(self.bad_pixels),
        )
        self._tell("Reconstructing")
        self._set_running(True)
        self._job = job
        # What goes wrong in ways that we know comes back as words; the rest is a bug, which
        # napari shows as one.
        self._worker = worker = create_worker(_outcome, job, _start_thread=False)
        job.is_cancelled = lambda: bool(worker.abort_requested)
        worker.returned.connect(lambda outcome: self._end(layers, outcome))
        worker.errored.connect(lambda error: self._tell(f"An error in Fociscope: {error}"))
        worker.finished.connect(self._finish)
        worker.start()

    def _cancel(self) -> None:
        self._tell("Stopping")
        self._worker.quit()

    def _finish(self) -> None:
        self._set_running(False)
        if self._worker.abort_requested:  # then there is no outcome
            self._tell("Cancelled; nothing was added.")

    def _end(self, layers: list[Any], outcome: Reconstruction | str | None) -> None:
        if not isinstance(outcome, Reconstruction):
            self._tell(outcome or "")
            return
        ours = all(_is_sensor(layer, sensor) for layer, sensor in zip(layers, "AB", strict=False))
        was_flat = self._viewer.dims.ndisplay == 2
        self._add(result_layers(outcome, with_captures=not ours))
        for layer in layers:
            if not ours:
                layer.visible = False  # it lies elsewhere, in units of its own
            elif layer.metadata[KEY]["sensor"] == "B":
                layer.translate = (
                    *layer.translate[:-3],
                    outcome.imager.gap_um,
                    *layer.translate[-2:],
                )
        if was_flat:
            self._viewer.dims.ndisplay = 3
            self._viewer.reset_view()
            camera = getattr(self._viewer, "scene", self._viewer).camera  # napari 0.9 moved it
            camera.set_view_direction(VIEW, UP)
            camera.zoom *= ZOOM
        self._show_cells(outcome)
        self.save.enabled = True
        self._tell(outcome_in_words(outcome), warnings_in_words(outcome))

    def _show_cells(self, result: Reconstruction) -> None:
        """Show scale bar and axes, and in 2D the fullest layer."""
        self._result = result
        _overlay(self._viewer, "canvas", "scale_bar").visible = True
        _overlay(self._viewer, "scene", "axes").visible = True
        self._go_to_fullest()

    def _go_to_fullest(self, _: Any = None) -> None:
        """Let 2D show the depth of the layer with the most cells while the newest map is there."""
        known = [layer.metadata.get(KEY, {}) for layer in self._viewer.layers]
        result = self._result
        if result is None or all(k.get("result") is not result for k in known):
            return
        dims = self._viewer.dims
        frame = 0
        if result.captures.ndim == 4:
            frame = min(max(round(dims.point[0]), 0), len(result.captures) - 1)
        shown = result.frame(frame)
        if shown.present.any():
            cells = np.where(shown.present, shown.mask.sum(axis=(-2, -1)), -1)
            dims.set_point(dims.ndim - 3, float(shown.depth_um[int(cells.argmax())]))

    def _save(self) -> None:
        """Write the newest map into the folder that is named, as `fociscope reconstruct` does."""
        folder = self.save_folder.value
        if self._result is None or folder is None:
            self._tell("Name a new folder to save the map into.")
            return
        try:
            self._result.save(folder)
        except (FociscopeError, OSError) as error:
            self._tell(str(error))
            return
        self._tell(f"Saved into {folder}")

    def _add(self, layers: list[LayerData]) -> None:
        for layer in layers:
            self._viewer.add_layer(Layer.create(*layer))

    def _set_running(self, running: bool) -> None:
        self.run.enabled, self.cancel.enabled = not running, running
        (self._timer.start if running else self._timer.stop)()
        self.bar.value, self.bar.max = 0, 0 if running else 1  # 0 of 0: busy

    def _show_progress(self) -> None:
        if self._job is not None and self._job.total:
            self.bar.max, self.bar.value = self._job.total, self._job.done

    def _tell(self, message: str, warning: str = "") -> None:
        self.message.value, self.warning.value = message, warning


def outcome_in_words(result: Reconstruction) -> str:
    """Return in a few lines what was found."""
    first = result.frame(0)
    lines = [] if result.captures.ndim == 3 else [f"{len(result.captures)} frames; the first:"]
    for n, present in enumerate(first.present):
        if present:
            share = 100 * first.mask[n].mean()
            where = f"{first.depth_um[n]:.0f} ± {first.depth_std_um[n]:.0f} µm"
            lines.append(f"Layer {n + 1}: {where}, cells on {share:.0f} % of the frame")
        else:
            lines.append(f"Layer {n + 1}: absent")
    lines.append(f"Self-check residual: {first.self_check}")
    return "\n".join(lines)


def warnings_in_words(result: Reconstruction) -> str:
    """Return why the map is not to be trusted, in words; empty if nothing speaks against it."""
    lines = list(result.warnings)
    plausible = result.plausible.reshape(-1)
    if not plausible.all():
        odd = int((~plausible).sum())
        number = int(plausible.argmin())
        file = f" ({result.names[number]})" if result.names else ""
        of_several = f"{odd} of {plausible.size} frames, frame {number + 1}{file}: "
        which = of_several if plausible.size > 1 else ""
        quality_flags = result.frame(number).quality_flags
        lines.append(f"Do not trust this map: {which}{quality_flags}")
    return "\n".join(lines)


def _one_sensor(array: Any, sensor: str) -> Float32Array:
    """Return (y, x) or (frame, y, x)."""
    shape = tuple(array.shape)
    if len(shape) == 4 and shape[1] == 1:
        array = array[:, 0]
    elif len(shape) == 3 and shape[0] == 1:
        array = array[0]
    elif len(shape) not in (2, 3):
        raise CaptureError(
            f"sensor {sensor}'s layer has the shape {shape}; expected an image (y, x) or a series "
            "(frame, y, x)"
        )
    return np.asarray(array, dtype=np.float32)


def _overlay(viewer: Any, part: str, name: str) -> Any:
    """Return an overlay of the viewer's canvas or scene; before napari 0.9, of the viewer."""
    home = getattr(viewer, part, None)
    return getattr(viewer if home is None else home.overlays, name)


def _files(field: FileEdit) -> tuple[Path, ...]:
    """Return the files that a field names; none where it is empty."""
    return tuple(Path(path) for path in field.value or ())


def _is_sensor(layer: Any, sensor: str) -> bool:
    known = layer.metadata.get(KEY, {})
    return bool(known.get("kind") == "sensor" and known.get("sensor") == sensor)


def _outcome(job: ReconstructionJob) -> Reconstruction | str | None:
    """Return the result, or in words why there is none; None if nobody wants it any more."""
    try:
        return job.run()
    except Cancelled:
        return None
    except FociscopeError as error:
        return str(error)
