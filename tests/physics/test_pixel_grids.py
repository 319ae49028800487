"""Pixels of any shape: single emitters, layers and photon budgets against counted light."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from fociscope.errors import ImagerError, SceneError
from fociscope.figures import draw_psf
from fociscope.imager import (
    AngleSelectivePsf,
    AngularResponsePsf,
    GaussianPsf,
    Imager,
    LayerProjector,
    MeasuredPsf,
    photon_budget,
    write_commented_imager,
)
from fociscope.reconstruction import load_model
from fociscope.simulation import Surface, simulate
from fociscope.simulation.frame import rebinned, square_frame
from fociscope.solvers import richardson_lucy, tikhonov

RESPONSE = ((0.0, 0.5), (20.0, 0.55), (35.0, 1.0), (50.0, 0.7), (65.0, 0.2), (80.0, 0.0))
#: Two rows of oblong pixels with small diodes off their middles.
CHIP = Imager(
    name="two-rows",
    pixel_pitch_um=(73.0, 26.0),
    frame_px=(2, 24),
    sensors=1,
    gap_um=500.0,
    sensitive_um=(14.0, 12.0),
    sensitive_offset_um=(10.0, -3.0),
    psf=AngularResponsePsf(table=RESPONSE, table_medium="air", tissue_index="air"),
)
SQUARE = Imager(frame_px=(15, 17))


def counted(imager: Imager, y_um: float, x_um: float, z_um: float) -> np.ndarray:
    """Return (y, x): T(theta) / r^2 summed over small squares of each sensitive rectangle."""
    assert imager.sensitive_um is not None
    step = (np.arange(20) + 0.5) / 20 - 0.5
    centres = imager.pixel_centres_um()
    dy = centres[..., 0, None, None] + step[:, None] * imager.sensitive_um[0] - y_um
    dx = centres[..., 1, None, None] + step[None, :] * imager.sensitive_um[1] - x_um
    r2 = dy**2 + dx**2
    theta = np.degrees(np.arctan2(np.sqrt(r2), z_um))
    angle, value = np.array(RESPONSE).T
    light = np.interp(theta, angle, value, right=0) / (r2 + z_um**2)
    return np.asarray(light.mean((-1, -2)))


@pytest.mark.parametrize("z_um", [50.0, 200.0])
@pytest.mark.parametrize("row_shift_um", [(), (0.0, 13.0)])
def test_an_emitter_off_the_grid_is_seen_as_counted(
    z_um: float, row_shift_um: tuple[float, ...]
) -> None:
    chip = CHIP.with_(row_shift_um=row_shift_um)
    seen = chip.pixel_response(np.array([[277.0, 31.0, z_um]]))[0, 0]
    expected = counted(chip, 31.0, 277.0, z_um)
    difference = seen / seen.sum() - expected / expected.sum()
    assert float(np.abs(difference).sum()) < 2e-3


@pytest.mark.parametrize(
    "psf",
    [
        AngleSelectivePsf(base_blur_um=20.0, fill_factor=0.5),
        GaussianPsf(base_blur_um=10.0, tissue={"attenuation_per_mm": 1.0}),  # type: ignore[arg-type]
        AngularResponsePsf(table=RESPONSE),
    ],
)
def test_an_emitter_on_a_plain_grid_is_seen_as_the_projector_sees_it(psf: Any) -> None:
    imager = SQUARE.with_(psf=psf, registration={"shift_um": (12.0, -30.0)})
    layer = np.zeros((1, *SQUARE.frame_px))
    layer[0, 7, 12] = 1.0
    projected = LayerProjector(imager).A(layer, np.array([240.0]))
    seen = imager.pixel_response(np.array([[12 * 55.0, 7 * 55.0, 240.0]]))[0]
    assert float(np.abs(seen - projected).sum()) < 3e-4 * float(np.abs(projected).sum())


def test_a_kind_that_knows_square_pixels_only_is_seen_by_its_kernels() -> None:
    depth_um = np.array([100.0, 200.0, 300.0])
    kernels = AngleSelectivePsf().kernel(depth_um, 55.0, radius_px=8)
    measured = SQUARE.with_(sensors=1, psf=MeasuredPsf.from_stack(kernels, depth_um, 55.0))
    place = np.array([[12 * 55.0 - 20.0, 7 * 55.0 + 9.0, 200.0]])
    seen = measured.pixel_response(place)[0, 0]
    expected = SQUARE.with_(sensors=1).pixel_response(place)[0, 0]
    assert float(np.abs(seen - expected).sum()) < 0.02 * float(np.sum(expected))
    with pytest.raises(ImagerError, match="square pixels only"):
        measured.with_(pixel_pitch_um=(50.0, 60.0), sensitive_um=(50.0, 60.0)).pixel_response(place)


def test_single_precision_is_that_of_double() -> None:
    place = np.array([[277.0, 31.0, 200.0]])
    double, single = CHIP.pixel_response(place), CHIP.pixel_response(place.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=1e-5)


def test_positions_are_differentiated() -> None:
    place = torch.tensor([[277.0, 31.0, 120.0]], dtype=torch.float64, requires_grad=True)
    pixel = CHIP.pixel_response(place)[0, 0, 1, 12]
    (slope,) = torch.autograd.grad(pixel, place)
    for axis in range(3):
        step = torch.zeros(1, 3, dtype=torch.float64)
        step[0, axis] = 0.05
        ahead, behind = (
            CHIP.pixel_response(place.detach() + s)[0, 0, 1, 12] for s in (step, -step)
        )
        assert float(slope[0, axis]) == pytest.approx(float(ahead - behind) / 0.1, rel=2e-2)


def test_each_pixel_sees_through_its_own_grating() -> None:
    other = CHIP.psf.with_(angle_scale=0.5)
    chip = CHIP.with_(further_psfs=[other], psf_pattern=[[0], [1]])
    place = np.array([[277.0, 31.0, 120.0], [100.0, 50.0, 60.0]])
    seen = np.asarray(chip.pixel_response(place))
    np.testing.assert_array_equal(seen[:, :, 0], CHIP.pixel_response(place)[:, :, 0])
    np.testing.assert_array_equal(
        seen[:, :, 1], CHIP.with_(psf=other).pixel_response(place)[:, :, 1]
    )
    chequered = CHIP.with_(further_psfs=[other], psf_pattern=[[0, 1], [1, 0]])
    again = np.asarray(chequered.pixel_response(place))
    np.testing.assert_array_equal(again[:, :, 1, ::2], seen[:, :, 1, ::2])
    assert chequered.cropped(1, 0, 1, 5, of=(2, 24)).psf_pattern == ((1, 0), (0, 1))
    with pytest.raises(ImagerError, match="2 gratings"):
        LayerProjector(chip).A(np.zeros((1, 2, 24)), np.array([100.0]))


def test_several_gratings_are_kept_in_a_file(tmp_path: Any) -> None:
    chip = CHIP.with_(further_psfs=[GaussianPsf(spread=0.2)], psf_pattern=[[0], [1]])
    chip.to_toml(tmp_path / "chip.toml")
    assert Imager.from_toml(tmp_path / "chip.toml") == chip
    write_commented_imager(chip, tmp_path / "commented.toml")
    assert Imager.from_toml(tmp_path / "commented.toml") == chip
    assert Imager.model_validate_json(chip.model_dump_json()) == chip


def test_dead_pixels_collect_nothing_and_have_no_gain() -> None:
    chip = CHIP.with_(dead_pixels=[(0, 1, 10)])
    place = np.array([[277.0, 31.0, 100.0]])
    seen, whole = chip.pixel_response(place), CHIP.pixel_response(place)
    assert seen[0, 0, 1, 10] == 0
    assert (seen == whole).sum() == whole.size - 1
    pattern = chip.fixed_pattern()
    assert pattern is not None
    assert pattern.dead.nonzero().tolist() == [[0, 1, 10]]
    assert CHIP.fixed_pattern() is None
    # Of a chip with two sensors, whose sensor A is used alone.
    assert not CHIP.with_(dead_pixels=[(1, 0, 0)]).fixed_pattern().dead.any()  # type: ignore[union-attr]


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
@pytest.mark.parametrize("base_blur_um", [0.0, 15.0])
def test_layers_on_oblong_pixels_are_sums_of_emitters(boundary: Any, base_blur_um: float) -> None:
    chip = CHIP.with_(
        frame_px=(5, 24), boundary=boundary, psf=CHIP.psf.with_(base_blur_um=base_blur_um)
    )
    layers = np.zeros((2, 5, 24))
    layers[0, 2, 11], layers[1, 1, 14] = 1.0, 0.5
    projected = LayerProjector(chip).A(layers, np.array([60.0, 90.0]))[0]
    places = np.array([[11 * 26.0, 2 * 73.0, 60.0], [14 * 26.0, 73.0, 90.0]])
    seen = (chip.pixel_response(places) * np.array([1.0, 0.5])[:, None, None, None]).sum((0, 1))
    # Mirrored tissue adds light near the edges, where single emitters have none.
    inside = np.s_[1:4, 8:17] if boundary == "zero" else np.s_[2:3, 10:13]
    allowed = 1e-3 if boundary == "zero" else 0.5
    assert float(np.abs(projected - seen)[inside].sum()) < allowed * float(seen[inside].sum())


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_projector_and_adjoint_belong_together_on_oblong_pixels(boundary: Any) -> None:
    chip = CHIP.with_(
        sensors=2, boundary=boundary, registration={"shift_um": (5.0, -8.0)}, psf=GaussianPsf()
    )
    generator = torch.Generator().manual_seed(1)
    layers = torch.rand(1, 3, 2, 24, generator=generator, dtype=torch.float64)
    captures = torch.rand(1, 2, 2, 24, generator=generator, dtype=torch.float64)
    depth_um = torch.tensor([[50.0, 220.0, 400.0]], dtype=torch.float64)
    projector = LayerProjector(chip)
    seen, back = projector.A(layers, depth_um), projector.A_adjoint(captures, depth_um)
    assert float((seen * captures).sum()) == pytest.approx(float((layers * back).sum()), rel=1e-9)


def test_a_rectangle_as_large_as_the_pixel_changes_nothing() -> None:
    layers = np.random.default_rng(0).random((2, *SQUARE.frame_px))
    depth_um = np.array([120.0, 700.0])
    plain = LayerProjector(SQUARE).A(layers, depth_um)
    stated = LayerProjector(SQUARE.with_(sensitive_um=(55.0, 55.0))).A(layers, depth_um)
    np.testing.assert_allclose(stated, plain, rtol=1e-3)


def test_a_uniform_layer_gives_a_uniform_capture_on_oblong_pixels() -> None:
    chip = Imager(
        pixel_pitch_um=(30.0, 20.0),
        frame_px=(10, 14),
        sensors=1,
        gap_um=100.0,
        boundary="reflect",
        psf=GaussianPsf(spread=0.3),
    )
    seen = LayerProjector(chip).A(np.ones((1, 10, 14)), np.array([60.0]))[0]
    np.testing.assert_allclose(seen, 0.035, rtol=1e-3)


def test_the_budget_of_small_diodes_is_their_share_of_the_light() -> None:
    psf = AngleSelectivePsf(half_angle_deg=60.0)
    chip = Imager(frame_px=(3, 3), sensors=1, pixel_pitch_um=(60.0, 40.0), psf=psf)
    whole = photon_budget(chip, cell_photons_per_s=1e7, depth_um=800.0).sensors[0]
    small = photon_budget(
        chip.with_(sensitive_um=(15.0, 10.0)), cell_photons_per_s=1e7, depth_um=800.0
    ).sensors[0]
    assert small.brightest_share == pytest.approx(whole.brightest_share / 16, rel=5e-3)
    expected = 60.0 * 40.0 / (4 * math.pi * 800.0**2)
    assert whole.brightest_share == pytest.approx(expected, rel=5e-3)


def test_pixels_are_kept_in_a_file(tmp_path: Any) -> None:
    chip = CHIP.with_(row_shift_um=(0.0, 13.0), dead_pixels=[(0, 1, 3)])
    chip.to_toml(tmp_path / "chip.toml")
    assert Imager.from_toml(tmp_path / "chip.toml") == chip
    (tmp_path / "old.toml").write_text("pixel_pitch_um = 50.0\n", encoding="utf-8")
    assert Imager.from_toml(tmp_path / "old.toml").pitch_um == (50.0, 50.0)


def test_a_pair_of_equal_pitches_is_one_number() -> None:
    assert Imager(pixel_pitch_um=(55.0, 55.0)) == Imager()


def test_a_crop_keeps_its_dead_pixels_and_its_shifts() -> None:
    chip = Imager(frame_px=(6, 8), row_shift_um=(0.0, 9.0), dead_pixels=[(0, 4, 5), (1, 0, 0)])
    crop = chip.cropped(3, 2, 3, 4, of=(6, 8))
    assert crop.dead_pixels == ((0, 1, 3),)
    assert crop.row_shift_um == (9.0, 0.0, 9.0)
    assert crop.frame_px == (3, 4)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"pixel_pitch_um": 0.0}, "pixel_pitch_um: Input should be greater than 0"),
        ({"pixel_pitch_um": (50.0, 0.0)}, "pixel_pitch_um"),
        ({"sensitive_um": (60.0, 10.0)}, "does not lie within"),
        ({"sensitive_um": (20.0, 20.0), "sensitive_offset_um": (20.0, 0.0)}, "does not lie"),
        ({"sensitive_offset_um": (5.0, 0.0)}, "needs the rectangle's sides"),
        ({"sensitive_um": (9.0, 9.0), "psf": {"fill_factor": 0.5}}, "leave one out"),
        ({"frame_px": (2, 9), "row_shift_um": (0.0, 1.0, 2.0)}, "3 rows"),
        ({"dead_pixels": [(0, 60, 0)]}, "no pixel"),
        ({"psf_pattern": [[0], [1]]}, "psf_pattern"),
        ({"further_psfs": [{"kind": "gaussian"}], "psf_pattern": [[0], [2]]}, "expected 0 for psf"),
        ({"further_psfs": [{"kind": "gaussian"}]}, "psf_pattern"),
        ({"further_psfs": [{"kind": "gaussian"}], "psf_pattern": [[0, 1], [1]]}, "equally long"),
    ],
)
def test_impossible_pixels_are_refused_in_one_line(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ImagerError) as caught:
        Imager(**fields)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_takes_square_pixels_only_says_so() -> None:
    with pytest.raises(ImagerError, match="73 x 26 µm"):
        _ = CHIP.square_pitch_um
    with pytest.raises(ImagerError, match="staggered rows"):
        LayerProjector(CHIP.with_(row_shift_um=(0.0, 13.0))).A(
            np.zeros((1, 2, 24)), np.array([100.0])
        )
    turned = CHIP.with_(sensors=2, registration={"rotation_deg": 1.0})
    with pytest.raises(ImagerError, match="rotated or scaled"):
        LayerProjector(turned).A(np.zeros((1, 2, 24)), np.array([100.0]))


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_solvers_reconstruct_layers_on_oblong_pixels(boundary: Any) -> None:
    chip = Imager(
        pixel_pitch_um=(60.0, 45.0), frame_px=(14, 18), sensors=1, gap_um=300.0, boundary=boundary
    )
    layers = np.zeros((1, 1, 14, 18))
    layers[0, 0, 5:8, 6:10] = 1.0
    depth_um = np.array([[80.0]])
    captures = LayerProjector(chip).A(layers, depth_um)
    for solved in (
        richardson_lucy(captures, depth_um, chip, iterations=60),
        tikhonov(captures, depth_um, chip, regularisation=1e-8),
    ):
        found = np.asarray(solved.layers)
        assert float(np.abs(found - layers).sum()) < 0.3 * float(layers.sum())


def test_a_picture_of_a_psf_has_the_pixels_shape() -> None:
    figure = draw_psf(CHIP, depths_um=(100.0,), radius_px=4)
    image = figure.axes[0].get_images()[0]
    assert image.get_array().shape == (9, 9)
    assert figure.axes[0].get_aspect() == pytest.approx(73.0 / 26.0)


def test_networks_refuse_oblong_pixels_and_say_what_takes_them() -> None:
    with pytest.raises(ImagerError, match="trained on square pixels"):
        load_model("layers-a", imager=Imager.preset("sibling-36x80"))


def test_scenes_are_simulated_on_oblong_pixels() -> None:
    chip = Imager.preset("sibling-36x80").with_(boundary="zero")
    scenes = simulate(1, seed=3, layers=2, imager=chip, peak_snr_db=None)
    assert scenes.layers.shape == (1, 2, 36, 80)
    assert 0.02 < float(scenes.mask.mean()) < 0.9
    projected = LayerProjector(chip).A(scenes.layers, scenes.depth_um)
    np.testing.assert_allclose(scenes.captures, projected, rtol=1e-4, atol=1e-6)
    noisy = simulate(1, seed=3, layers=2, imager=chip, peak_snr_db=40.0).captures
    assert 0 < float(np.abs(noisy - scenes.captures).mean()) < 0.02 * float(noisy.max())


def test_oblong_pixels_have_the_mean_of_the_squares_that_they_cover() -> None:
    chip = Imager(pixel_pitch_um=(30.0, 20.0), frame_px=(4, 5))
    drawn = square_frame(chip)
    assert (drawn.size_px, drawn.pixel_pitch_um) == ((6, 5), 20.0)
    images = np.arange(30, dtype=np.float32).reshape(1, 6, 5)
    found = rebinned(images, drawn, chip)
    rows = images[0, :, 0]
    expected = [(rows[0] + rows[1] / 2) / 1.5, (rows[1] / 2 + rows[2]) / 1.5]
    np.testing.assert_allclose(found[0, :2, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(found.mean(), images.mean(), rtol=1e-6)


def test_curved_layers_are_refused_on_oblong_pixels() -> None:
    with pytest.raises(SceneError, match="square ones only"):
        simulate(
            1,
            seed=0,
            layers=1,
            imager=Imager.preset("sibling-36x80"),
            surface=Surface(tilt_deg=3.0),
        )
