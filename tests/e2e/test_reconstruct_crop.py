"""`fociscope reconstruct --crop` where sensor B is turned about the middle of the whole frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fociscope.imager import Imager, Registration
from fociscope.reconstruction import load_model
from fociscope.series import series as module
from fociscope.simulation import Scenes, simulate

WHOLE_PX = (96, 110)
CROP = (2, 60, 48, 44)
TURNED = Imager(
    frame_px=WHOLE_PX,
    registration=Registration(shift_um=(20.0, -35.0), rotation_deg=3.0, scale=1.01),
)
#: Of the middle of the crop, from that of the whole frame.
MIDDLE_UM = (55.0 * (2 + 24 - 48), 55.0 * (60 + 22 - 55))


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return simulate(6, seed=4, imager=TURNED)


@pytest.fixture
def captures(scenes: Scenes) -> np.ndarray:
    return np.asarray(scenes.captures)[:3]


@pytest.fixture
def stacks(tmp_path: Path, captures: np.ndarray) -> list[Path]:
    """Of sensor A, and of sensor B as it looks from the other side."""
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    np.save(paths[0], captures[:, 0])
    np.save(paths[1], captures[:, 1, :, ::-1])
    return paths


@pytest.fixture
def options(tmp_path: Path) -> list[object]:
    TURNED.to_toml(tmp_path / "chip.toml")
    crop = ",".join(map(str, CROP))
    return ["--imager", tmp_path / "chip.toml", "--crop", crop, "--flip-b", "x"]


def summary(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "summary.json").read_text()))


def says_where_b_lies(said: dict[str, Any]) -> bool:
    """Whether the point in the middle of the crop lies where the whole frame's imager has it."""
    on_b_um = np.array(TURNED.registration.to_b(*MIDDLE_UM)) - MIDDLE_UM
    assert np.hypot(*on_b_um) > 2 * 55
    return np.allclose(said["imager"]["registration"]["shift_um"], on_b_um)


def test_b_is_where_the_whole_frame_has_it(fociscope, stacks, options, captures, tmp_path) -> None:
    ran = fociscope("reconstruct", *stacks, "-o", tmp_path / "map", "--format", "npz", *options)
    assert ran.code == 0, ran.err
    said = summary(tmp_path / "map")
    assert says_where_b_lies(said)
    part = Imager.model_validate(said["imager"])
    assert part == TURNED.cropped(*CROP, of=WHOLE_PX)
    y, x, height, width = CROP
    expected = load_model("layers-ab", imager=part).reconstruct(
        captures[..., y : y + height, x : x + width]
    )
    with np.load(tmp_path / "map" / "reconstruction.npz") as found:
        np.testing.assert_allclose(found["depth_um"], expected.depth_um, atol=0.1)


def test_maps_are_better_for_it(scenes) -> None:
    y, x, height, width = CROP
    part = (..., slice(y, y + height), slice(x, x + width))
    right, wrong = (
        (model.reconstruct(scenes.captures[part]).mask == scenes.mask[part]).mean()
        for model in (
            load_model("layers-ab", imager=TURNED.cropped(*CROP, of=WHOLE_PX)),
            load_model("layers-ab", imager=TURNED),
        )
    )
    assert right > wrong + 0.01  # measured: 0.94 against 0.91


def test_a_long_series_goes_on(fociscope, stacks, options, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "LONG_FRAMES", 2)
    command = ["reconstruct", *stacks, "-o", tmp_path / "map", *options]
    for more in ([], ["--resume"]):
        ran = fociscope(*command, *more)
        assert ran.code == 0, ran.err
        assert says_where_b_lies(summary(tmp_path / "map"))


def test_a_watch_asks_the_first_capture(fociscope, options, captures, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    for side, images in zip("AB", (captures[:, 0], captures[:, 1, :, ::-1]), strict=True):
        for n, image in enumerate(images):
            np.save(tmp_path / "in" / f"{n}_{side}.npy", image)
    command = [
        "reconstruct", "--watch", tmp_path / "in", "-o", tmp_path / "map", "--idle", 0.3,
        "--format", "csv", *options,
    ]  # fmt: skip
    for more in ([], ["--resume"]):
        ran = fociscope(*command, *more)
        assert ran.code == 0, ran.err
        assert summary(tmp_path / "map")["series"]["frames"] == len(captures)
        assert says_where_b_lies(summary(tmp_path / "map"))


def test_a_watch_without_captures_ends(fociscope, options, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    ran = fociscope(
        "reconstruct", "--watch", tmp_path / "in", "-o", tmp_path / "map", "--idle", 0.1, *options
    )
    assert ran.code == 1
    assert "no capture came" in ran.err
    assert not (tmp_path / "map").exists()


def test_an_imager_that_is_not_turned_stays(fociscope, stacks, tmp_path) -> None:
    said = []
    for name, more in (("whole", []), ("part", ["--crop", "2,60,48,44"])):
        ran = fociscope("reconstruct", *stacks, "-o", tmp_path / name, "--format", "csv", *more)
        assert ran.code == 0, ran.err
        said.append(summary(tmp_path / name))
    assert said[0]["imager_sha256"] == said[1]["imager_sha256"]
    assert said[0]["imager"] == said[1]["imager"]
