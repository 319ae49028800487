"""The app's figures: what is drawn lies where it lies in um."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fociscope.app.plots import PROBABILITY_SCALE, Shown, Theme, binned, image, packed
from fociscope.app.side import side_view
from fociscope.app.stack import Layers, stack

LOOK = Theme(dark=False)


def _unpacked(array: dict[str, Any]) -> NDArray[Any]:
    shape = [int(n) for n in array.get("shape", "-1").split(",")]
    values = np.frombuffer(base64.b64decode(array["bdata"]), dtype=f"<{array['dtype']}")
    return values.reshape(shape)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_arrays_travel_with_their_values_and_shape(dtype: type) -> None:
    array = np.arange(6, dtype=dtype).reshape(2, 3)
    assert (_unpacked(packed(array)) == array).all()


def test_small_frames_are_shown_as_they_are() -> None:
    values = np.random.default_rng(0).normal(size=(51, 51)).astype(np.float32)
    shown, side = binned(values)
    assert side == 1
    assert (shown == values).all()


def test_large_frames_are_averaged_over_squares_without_what_is_missing() -> None:
    values = np.array([[1, 3, 5], [np.nan, 5, 5], [9, 9, 9]], dtype=np.float32)
    shown, side = binned(values, most_px=2)
    assert side == 2
    assert shown.tolist() == [[3.0]]


def test_a_picture_has_its_pixels_in_um_from_the_corner() -> None:
    values = np.zeros((40, 50), dtype=np.float32)
    figure = image(values, 55.0, Shown(PROBABILITY_SCALE, 0, 1, "P(cells)"), LOOK)
    drawn, layout = figure["data"][0], figure["layout"]

    assert (drawn["x0"], drawn["dx"]) == (27.5, 55.0)
    assert layout["xaxis"]["range"] == [0, 50 * 55]
    assert layout["yaxis"]["range"] == [40 * 55, 0]  # downwards, as pictures are
    assert "µm" in layout["xaxis"]["title"]["text"]
    json.dumps(figure)


def _stack(mask: NDArray[np.bool_], depth_um: list[float], **more: Any) -> dict[str, Any]:
    layers = Layers(mask, np.array(depth_um, np.float32), np.full(len(mask), 20, np.float32))
    return stack(
        layers,
        pixel_pitch_um=50.0,
        gap_um=1000.0,
        sensors=2,
        colour_by="depth",
        theme=LOOK,
        **more,
    )


def test_each_pixel_with_cells_is_a_tile_at_its_place_and_depth() -> None:
    mask = np.zeros((2, 4, 6), dtype=bool)
    mask[1, 2, 3] = True
    tiles = _stack(mask, [100.0, 400.0])["data"][0]

    assert _unpacked(tiles["x"]).tolist() == [150, 200, 200, 150]
    assert _unpacked(tiles["y"]).tolist() == [100, 100, 150, 150]
    assert _unpacked(tiles["z"]).tolist() == [400] * 4
    assert _unpacked(tiles["intensity"]).tolist() == [400, 400]  # one for each triangle


def test_an_absent_layer_is_not_drawn() -> None:
    figure = _stack(np.ones((1, 4, 4), dtype=bool), [np.nan])
    assert len(_unpacked(figure["data"][0]["x"])) == 0
    json.dumps(figure, allow_nan=False)


def test_axes_are_true_to_scale_until_the_stack_gets_flat() -> None:
    def ratio(side_px: int) -> float:
        aspect = _stack(np.zeros((1, side_px, side_px), dtype=bool), [10.0])["layout"]["scene"]
        return float(aspect["aspectratio"]["z"] / aspect["aspectratio"]["x"])

    assert ratio(40) == pytest.approx(1000 / 2000)
    assert ratio(400) == pytest.approx(0.3)  # 1000 / 20000 would be a line


@pytest.mark.parametrize("pitch_um", [0.5, 5.0, 55.0, 500.0])
@pytest.mark.parametrize("frame_px", [(32, 32), (51, 51), (32, 2048), (2048, 32)])
@pytest.mark.parametrize("gap_um", [50.0, 1000.0, 20_000.0])
def test_the_first_view_holds_the_whole_stack(
    pitch_um: float, frame_px: tuple[int, int], gap_um: float
) -> None:
    figure = stack(
        Layers(np.zeros((1, *frame_px), dtype=bool), np.array([10.0], np.float32)),
        pixel_pitch_um=pitch_um,
        gap_um=gap_um,
        sensors=2,
        colour_by="depth",
        theme=LOOK,
    )
    scene = figure["layout"]["scene"]
    eye, size = (
        np.array([part[a] for a in "xyz"])
        for part in (scene["camera"]["eye"], scene["aspectratio"])
    )
    corners = np.array(np.meshgrid(*([-1, 1],) * 3)).reshape(3, 8).T * size / 2
    right = np.cross([0, 0, 1], eye)
    up = np.cross(eye, right)
    seen = [np.abs(corners @ axis / np.linalg.norm(axis)).max() for axis in (right, up)]

    assert seen[0] <= 1.0  # of 1.3 at least, as wide as the picture is for its height
    assert seen[1] <= 0.7  # of 1
    assert max(seen[0] / 1.0, seen[1] / 0.7) > 0.9  # and is no smaller than need be
    assert scene["zaxis"]["title"]["text"].startswith("depth (µm)")


def test_the_side_view_shows_depths_bands_and_true_depths() -> None:
    mask = np.zeros((2, 3, 4), dtype=bool)
    mask[0, 1, 2] = True
    figure = side_view(
        mask,
        np.array([300, np.nan], np.float32),
        np.array([25, 1], np.float32),
        pixel_pitch_um=10.0,
        gap_um=1000.0,
        theme=LOOK,
        true_um=np.array([280], np.float32),
    )
    band, line = figure["layout"]["shapes"]

    assert _unpacked(figure["data"][0]["x"]).tolist() == [25.0]
    assert (band["y0"], band["y1"]) == (275, 325)
    assert line["y0"] == 280
