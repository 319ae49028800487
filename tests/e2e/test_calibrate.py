"""`fociscope calibrate`: a stack in, an imager out that the other verbs take; or one plain line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.calibration import MeasuredStack, simulated_stack, simulated_sweep
from fociscope.imager import AngleSelectivePsf, Imager

TRUE = Imager(
    sensors=1,
    frame_px=(41, 41),
    pixel_pitch_um=50.0,
    psf=AngleSelectivePsf(half_angle_deg=14, base_blur_um=20),
)
DEPTH_UM = np.array([50.0, 150.0, 300.0, 450.0])
DEPTHS = "50,150,300,450"
WRITTEN = {"chip.toml", "chip.calibration.json", "chip.calibration.png"}


def beads(**options: object) -> MeasuredStack:
    return simulated_stack(TRUE, [[10.0, -15.0]], DEPTH_UM, seed=2, **options)  # type: ignore[arg-type]


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """A bead in a TIFF with an odd name, and its depths beside it."""
    path = tmp_path / "beads$_1_2$.tif"
    planes = beads().counts[0].astype(np.uint16)
    tifffile.imwrite(path, planes, photometric="minisblack")
    (tmp_path / "depths.csv").write_text("depth_um\n50\n150\n300\n450\n")
    return path


def test_an_imager_a_summary_and_a_figure(fociscope, stack: Path, tmp_path: Path) -> None:
    output = tmp_path / "out" / "chip.toml"
    ran = fociscope(
        "calibrate", stack, "-o", output, "--depths", tmp_path / "depths.csv",
        "--pixel-pitch-um", 50,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert {path.name for path in output.parent.iterdir()} == WRITTEN
    imager = Imager.from_toml(output)
    assert (imager.name, imager.sensors, imager.frame_px) == ("chip", 1, (41, 41))
    assert imager.pixel_pitch_um == 50
    assert imager.psf.half_angle_deg == pytest.approx(14, abs=0.5)
    assert imager.psf.base_blur_um == pytest.approx(20, abs=5)
    assert imager.camera.black_level_counts == pytest.approx(102.5, abs=1)
    summary = json.loads((output.parent / "chip.calibration.json").read_text())
    assert summary["parameters"]["half_angle_deg"]["std"] < 0.2
    assert summary["inputs"][0]["name"] == "beads$_1_2$.tif"
    assert len(summary["inputs"][0]["sha256"]) == 64
    assert "half_angle_deg" in ran.out
    head = (output.parent / "chip.calibration.png").read_bytes()[:8]
    assert head == b"\x89PNG\r\n\x1a\n"


def test_both_sensors_and_a_measured_psf(fociscope, tmp_path: Path) -> None:
    imager = TRUE.with_(
        sensors=2, gap_um=500.0, registration={"shift_um": (30.0, -40.0)}, sensor_gains=(1, 0.8)
    )
    both = simulated_stack(imager, [[10.0, -15.0]], DEPTH_UM, seed=2)
    for name, planes in zip("ab", both.counts, strict=True):
        np.save(tmp_path / f"{name}.npy", planes)
    output = tmp_path / "chip.toml"
    ran = fociscope(
        "calibrate", tmp_path / "a.npy", "--sensor-b", tmp_path / "b.npy", "-o", output,
        "--depths", DEPTHS, "--pixel-pitch-um", 50, "--gap-um", 500,
        "--model", "measured", "--no-figure",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "rotation and scale are not" in ran.err
    found = Imager.from_toml(output)
    assert found.psf.kind == "measured"
    assert (tmp_path / "chip.psf.ome.tif").exists()
    assert not (tmp_path / "chip.calibration.png").exists()
    assert found.registration.shift_um == pytest.approx((30, -40), abs=5)
    assert found.sensor_gains[1] == pytest.approx(0.8, rel=0.05)


def test_a_known_target(fociscope, tmp_path: Path) -> None:
    target = np.zeros((41, 41), np.float32)
    rng = np.random.default_rng(1)
    rows, columns = rng.integers(8, 33, (2, 12))
    target[rows, columns] = 1
    points_um = (np.argwhere(target > 0) - 20.0) * 50
    stack = simulated_stack(TRUE, points_um + np.array([35.0, -20.0]), DEPTH_UM, seed=3)
    np.save(tmp_path / "captures.npy", stack.counts[0])
    np.save(tmp_path / "target.npy", target)
    output = tmp_path / "chip.toml"
    ran = fociscope(
        "calibrate", tmp_path / "captures.npy", "--target", tmp_path / "target.npy", "-o", output,
        "--depths", DEPTHS, "--pixel-pitch-um", 50, "--no-figure",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert Imager.from_toml(output).psf.half_angle_deg == pytest.approx(14, abs=0.5)
    found = json.loads((tmp_path / "chip.calibration.json").read_text())["parameters"]
    assert found["target_shift_y_um"]["value"] == pytest.approx(35, abs=5)
    assert found["target_shift_x_um"]["value"] == pytest.approx(-20, abs=5)


def test_an_assumed_pitch_is_said_and_what_may_be_replaced_is(
    fociscope, stack: Path, tmp_path: Path
) -> None:
    (tmp_path / "chip.toml").write_text("mine")
    ran = fociscope(
        "calibrate", stack, "-o", tmp_path / "chip.toml", "--depths", DEPTHS, "--no-figure",
        "--overwrite",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "55 µm is assumed" in ran.err
    assert Imager.from_toml(tmp_path / "chip.toml").pixel_pitch_um == 55


@pytest.mark.parametrize("there", sorted(WRITTEN))
def test_nothing_is_overwritten_unasked(fociscope, stack: Path, tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    ran = fociscope("calibrate", stack, "-o", tmp_path / "chip.toml", "--depths", DEPTHS)
    assert ran.code == 1
    assert "exists already" in ran.err
    assert (tmp_path / there).read_text() == "mine"
    assert not (WRITTEN - {there}) & {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--depths", "50,150,300"], "4 plane(s) but 3 depth(s)"),
        ([], "names no depths"),
        (["--depths", "50,50,150,150"], "2 distinct depth(s)"),
        (["--depths", "missing.csv"], "no such file"),
        (["--depths", DEPTHS, "--saturation-counts", "150"], "is saturated"),
        (["--depths", DEPTHS, "-o", "chip.json"], ".toml"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(
    fociscope, stack: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    before = set(tmp_path.iterdir())
    ran = fociscope("calibrate", stack, "-o", tmp_path / "out" / "chip.toml", *options)
    assert ran.code == 1
    errors = [line for line in ran.err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert words in errors[0]
    assert set(tmp_path.iterdir()) == before


@pytest.fixture
def sweeps(tmp_path: Path) -> Path:
    """A fixed bead and one that a stage moves, at two depths whose zero is 6 um off, raw counts."""
    rows = ["frame,x_mm,depth_um"]
    for n, depth_um in enumerate((45.0, 110.0)):
        deep = depth_um + 6.0
        beads_um = [[450.0, 12.0, deep, 5e7], [150.0, 30.0, deep, 4e7]]
        x_um = np.linspace(0.0, 150.0, 4)
        one = simulated_sweep(
            CHIP, beads_um, depth_um, x_um=x_um, motions=("fixed", "moving"), seed=n
        )
        np.save(tmp_path / f"sweep{n}.npy", one.counts.reshape(4, 48))
        rows += [f"{4 * n + k + 1},{x / 1000:g},{depth_um:g}" for k, x in enumerate(x_um)]
    (tmp_path / "stage.csv").write_text("\n".join(rows))
    CHIP.with_(layout="row-major").to_toml(tmp_path / "start.toml")
    return tmp_path


CHIP = Imager.preset("acus").with_(frame_px=(2, 24))


def test_raw_counts_of_a_stage_become_an_imager(fociscope, sweeps: Path) -> None:
    output = sweeps / "out" / "chip.toml"
    ran = fociscope(
        "calibrate", sweeps / "sweep0.npy", sweeps / "sweep1.npy", "-o", output,
        "--imager", sweeps / "start.toml", "--stage", sweeps / "stage.csv",
        "--beads", "fixed,moving", "--fit-depth-offset",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert {path.name for path in output.parent.iterdir()} >= WRITTEN
    summary = json.loads(output.with_suffix(".calibration.json").read_text())
    offset = summary["parameters"]["depth_offset_um"]
    assert offset["value"] == pytest.approx(6.0, abs=4 * offset["std"])
    imager = Imager.from_toml(output)
    scale = summary["parameters"]["angle_scale"]
    assert imager.psf.angle_scale == scale["value"] == pytest.approx(1.0, abs=4 * scale["std"])
    assert (imager.name, imager.layout) == ("chip", "row-major")
    assert [one["name"] for one in summary["inputs"]] == ["sweep0.npy", "sweep1.npy", "stage.csv"]
    assert "depth_offset_um" in ran.out


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "--stage"),
        (("--stage", "stage.csv"), "--imager"),
        (("--stage", "stage.csv", "--imager", "start.toml", "--beads", "flying"), "--beads"),
        (("--stage", "short.csv", "--imager", "start.toml"), "3 rows for 8 frames"),
    ],
)
def test_what_a_stage_needs_is_said(
    fociscope, sweeps: Path, options: tuple[str, ...], why: str
) -> None:
    (sweeps / "short.csv").write_text("x_um,depth_um\n1,2\n3,4\n5,6\n")
    words = [sweeps / one if one.endswith((".csv", ".toml")) else one for one in options]
    ran = fociscope(
        "calibrate", sweeps / "sweep0.npy", sweeps / "sweep1.npy", "-o", sweeps / "out.toml", *words
    )
    assert ran.code == 1
    assert why in ran.err
    assert not (sweeps / "out.toml").exists()
