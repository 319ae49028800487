"""The manifest, and the widget beside the model of a viewer, with Qt and without a screen."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fociscope.imager import Imager

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

napari = pytest.importorskip("napari", reason="napari is not installed: pip install '.[napari]'")
qtpy = pytest.importorskip(
    "qtpy.QtWidgets",
    reason="no Qt binding is installed, such as PyQt6",
    exc_type=Exception,
)

from napari.components import ViewerModel  # noqa: E402
from napari.layers import Layer  # noqa: E402
from npe2 import PluginManifest  # noqa: E402

from fociscope.napari_plugin import sample_data  # noqa: E402
from fociscope.napari_plugin.transforms import KEY  # noqa: E402
from fociscope.napari_plugin.widget import ReconstructWidget  # noqa: E402
from fociscope.reconstruction.engine import Model  # noqa: E402

PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def app() -> Any:
    return qtpy.QApplication.instance() or qtpy.QApplication([])


@pytest.fixture
def viewer() -> Any:
    return ViewerModel()


@pytest.fixture
def widget(app: Any, viewer: Any) -> Iterator[Any]:
    made = ReconstructWidget(viewer)
    yield made
    wait_until(app, lambda: not made.cancel.enabled)
    made.native.deleteLater()
    app.processEvents()


def wait_until(app: Any, is_so: Callable[[], bool]) -> None:
    start = time.monotonic()
    while not is_so():
        assert time.monotonic() - start < PATIENCE_S, "nothing happened"
        app.processEvents()
        time.sleep(0.01)


def add(viewer: Any, layers: list[Any]) -> None:
    for layer in layers:
        viewer.add_layer(Layer.create(*layer))


def run(app: Any, widget: Any) -> None:
    widget.run.native.click()
    wait_until(app, lambda: not widget.cancel.enabled)


def kind(viewer: Any, name: str) -> list[Any]:
    return [layer for layer in viewer.layers if layer.metadata.get(KEY, {}).get("kind") == name]


def test_the_manifest_is_valid_and_all_it_names_is_there() -> None:
    manifest = PluginManifest.from_distribution("fociscope")
    manifest.validate_imports()
    assert manifest.contributions.readers
    assert manifest.contributions.writers


def test_captures_become_layers_at_their_depths(app: Any, viewer: Any, widget: Any) -> None:
    add(viewer, sample_data.example())
    assert widget.sensor_a.value is viewer.layers[0]
    assert widget.sensor_b.value is viewer.layers[1]
    run(app, widget)
    found = kind(viewer, "P(cells)")
    result = found[0].metadata[KEY]["result"]
    depths_um = sorted(float(layer.translate[0]) for layer in found)
    np.testing.assert_allclose(depths_um, sorted(result.depth_um[result.present]), rtol=1e-6)
    assert len(kind(viewer, "sensor")) == 2  # the captures are there already
    assert kind(viewer, "foci")
    assert viewer.dims.ndisplay == 3
    assert "Layer 1" in widget.message.value
    assert {str(unit) for layer in viewer.layers for unit in layer.units} == {"micrometer"}


def test_plain_images_are_captures_too(app: Any, viewer: Any, widget: Any) -> None:
    captures = [layer[0][0] for layer in sample_data.example()]
    plain = [viewer.add_image(image) for image in captures]
    widget.sensor_a.value, widget.sensor_b.value = plain
    run(app, widget)
    assert len(kind(viewer, "sensor")) == 2
    assert not any(layer.visible for layer in plain)


def test_plates_of_a_series_follow_the_frame(app: Any, viewer: Any, widget: Any) -> None:
    add(viewer, sample_data.series())
    run(app, widget)
    layer = kind(viewer, "P(cells)")[0]
    depths_um = layer.metadata[KEY]["depth_um"]
    assert len(set(depths_um)) > 1
    for frame in (0, 5, 2):
        viewer.dims.set_point(0, frame)
        assert layer.translate[1] == pytest.approx(depths_um[frame])


def test_an_error_is_one_plain_message(app: Any, viewer: Any, widget: Any, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("gap_um = -1")
    add(viewer, sample_data.example())
    widget.imager_file.value = tmp_path / "bad.toml"
    run(app, widget)
    assert "gap_um" in widget.message.value
    assert "\n" not in widget.message.value
    assert len(viewer.layers) == 2
    assert widget.run.enabled


def test_captures_that_do_not_fit_together_are_named(app: Any, viewer: Any, widget: Any) -> None:
    layers = [viewer.add_image(np.ones(shape)) for shape in ((40, 40), (50, 50))]
    widget.sensor_a.value, widget.sensor_b.value = layers
    run(app, widget)
    assert "(40, 40)" in widget.message.value
    assert "(50, 50)" in widget.message.value


def test_without_captures_it_says_what_to_do(app: Any, widget: Any) -> None:
    widget.run.native.click()
    assert "Choose the layer" in widget.message.value
    assert not widget.cancel.enabled


def test_suspicion_is_said_in_words(app: Any, viewer: Any, widget: Any) -> None:
    rng = np.random.default_rng(0)
    layers = [viewer.add_image(rng.normal(100, 20, (51, 51)).clip(1)) for _ in "AB"]
    widget.sensor_a.value, widget.sensor_b.value = layers
    run(app, widget)
    assert "Do not trust this map" in widget.warning.value


def test_cancel_stops_at_the_next_opportunity(
    app: Any, viewer: Any, widget: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(*_: Any, progress: Callable[[int, int], None], **__: Any) -> None:
        while True:
            progress(1, 10)
            time.sleep(0.01)

    monkeypatch.setattr(Model, "reconstruct", endless)
    add(viewer, sample_data.example())
    widget.run.native.click()
    wait_until(app, lambda: widget.bar.value == 1)
    assert not widget.run.enabled
    widget.cancel.native.click()
    wait_until(app, lambda: not widget.cancel.enabled)
    assert "Cancelled" in widget.message.value
    assert len(viewer.layers) == 2
    assert widget.run.enabled


def test_captures_open_from_files(app: Any, viewer: Any, widget: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("x.npy", "y.npy"):
        np.save(tmp_path / name, rng.uniform(1, 2, (40, 40)))
    widget.files.value = (tmp_path / "x.npy", tmp_path / "y.npy")
    assert [layer.name for layer in viewer.layers] == ["sensor A", "sensor B"]
    assert widget.sensor_b.value is viewer.layers[1]
    widget.files.value = (tmp_path / "missing.npy",)
    assert "missing.npy" in widget.message.value


def test_an_image_of_sensor_a_alone_takes_the_model_for_one_sensor(
    app: Any, viewer: Any, widget: Any, tmp_path: Path
) -> None:
    image = viewer.add_image(sample_data.example()[0][0][0])
    widget.sensor_a.value, widget.sensor_b.value = image, None
    run(app, widget)
    widget._result.save(tmp_path / "map")
    said = json.loads((tmp_path / "map" / "summary.json").read_text(encoding="utf-8"))
    assert said["model"] == "layers-a"


def test_sensor_b_goes_where_the_imager_has_it(
    app: Any, viewer: Any, widget: Any, tmp_path: Path
) -> None:
    Imager.reference().with_(gap_um=900.0).to_toml(tmp_path / "imager.toml")
    add(viewer, sample_data.example())
    widget.imager_file.value = tmp_path / "imager.toml"
    run(app, widget)
    assert viewer.layers["sensor B"].translate[0] == 900.0


def test_2d_shows_the_fullest_layer_with_scale_bar_and_axes(
    app: Any, viewer: Any, widget: Any
) -> None:
    add(viewer, sample_data.example())
    run(app, widget)
    result = kind(viewer, "P(cells)")[0].metadata[KEY]["result"]
    fullest = int(result.mask.sum(axis=(-2, -1)).argmax())
    viewer.dims.ndisplay = 2
    assert viewer.dims.point[0] == pytest.approx(result.depth_um[fullest], abs=5)
    assert viewer.dims.range[0].start == 0
    at = viewer if not hasattr(viewer, "canvas") else None  # napari 0.9 moved the overlays
    assert (at or viewer.canvas.overlays).scale_bar.visible
    assert (at or viewer.scene.overlays).axes.visible
    shown = [layer for layer in kind(viewer, "P(cells)") if layer._slice.image.view.max() > 0.5]
    assert fullest + 1 in [layer.metadata[KEY]["layer"] for layer in shown]


def test_the_widget_saves_the_newest_map(
    app: Any, viewer: Any, widget: Any, tmp_path: Path
) -> None:
    assert not widget.save.enabled
    add(viewer, sample_data.example())
    run(app, widget)
    widget.save.native.click()
    assert "Name a new folder" in widget.message.value
    widget.save_folder.value = tmp_path / "map"
    widget.save.native.click()
    assert (tmp_path / "map" / "summary.json").is_file()
    assert "Saved" in widget.message.value


def test_a_dark_frame_is_subtracted(app: Any, viewer: Any, widget: Any, tmp_path: Path) -> None:
    captures = [layer[0][0] for layer in sample_data.example()]
    np.save(tmp_path / "dark.npy", np.full((2, *captures[0].shape), 100.0, np.float32))
    add(viewer, sample_data.example())
    run(app, widget)
    plain = kind(viewer, "P(cells)")[-1].metadata[KEY]["result"]
    for layer in list(viewer.layers):
        viewer.layers.remove(layer)
    raised = [viewer.add_image(image + 100) for image in captures]
    widget.sensor_a.value, widget.sensor_b.value = raised
    widget.dark.value = (tmp_path / "dark.npy",)
    run(app, widget)
    corrected = kind(viewer, "P(cells)")[-1].metadata[KEY]["result"]
    np.testing.assert_allclose(corrected.depth_um, plain.depth_um, rtol=1e-3)
