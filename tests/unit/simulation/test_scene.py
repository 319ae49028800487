import re
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from fociscope.errors import SceneError
from fociscope.imager import Imager, LayerProjector
from fociscope.simulation import PerlinFoci, Scenes, Surface, draw_depths, simulate

FIELDS = ["layers", "mask", "depth_um", "captures"]
SURROUND = Imager.reference().with_(boundary="reflect")


def bytes_of(scenes: Scenes, part: slice = slice(None)) -> dict[str, bytes]:
    return {name: getattr(scenes, name)[part].tobytes() for name in FIELDS}


# --- one seed, one scene ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hundred() -> Scenes:
    return simulate(100, seed=3)


def test_the_same_seed_gives_the_same_bytes(hundred: Scenes) -> None:
    assert bytes_of(simulate(100, seed=3)) == bytes_of(hundred)


def test_seeds_share_no_scene() -> None:
    scenes = [simulate(3, seed=seed) for seed in (0, 1, 2)]
    for name in FIELDS:
        assert len({scene.tobytes() for s in scenes for scene in getattr(s, name)}) == 9


@pytest.mark.parametrize(
    ("count", "first"),
    [
        (8, 0),
        (30, 40),
        (50, 50),
        (1, 7),
    ],
)  # fmt: skip
def test_a_scene_does_not_depend_on_how_many_are_asked_for(
    hundred: Scenes, count: int, first: int
) -> None:
    part = simulate(count, seed=3, first=first)
    assert bytes_of(part) == bytes_of(hundred, slice(first, first + count))


def test_scenes_differ_from_each_other(hundred: Scenes) -> None:
    for name in FIELDS:
        assert len({scene.tobytes() for scene in getattr(hundred, name)}) == 100


def test_no_global_generator_is_touched() -> None:
    torch_before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    simulate(2, seed=0)
    assert torch.equal(torch.random.get_rng_state(), torch_before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


# --- what a scene is ----------------------------------------------------------------------------


@pytest.mark.parametrize("sensors", [1, 2])
@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5, 6])
def test_shapes_types_and_ranges(layers: int, sensors: int) -> None:
    imager = Imager(frame_px=(20, 31), sensors=sensors)
    scenes = simulate(3, seed=1, layers=layers, min_separation_um=150, imager=imager)
    assert len(scenes) == 3
    assert scenes.layers.shape == scenes.mask.shape == (3, layers, 20, 31)
    assert scenes.captures.shape == (3, sensors, 20, 31)
    assert scenes.depth_um.shape == (3, layers)
    assert scenes.layers.dtype == scenes.depth_um.dtype == scenes.captures.dtype == np.float32
    assert scenes.mask.dtype == np.bool_
    assert (np.diff(scenes.depth_um) >= 150 * (1 - 1e-6)).all()
    assert scenes.layers.min() >= 0
    assert np.isfinite(scenes.captures).all()


def test_the_depth_map_is_the_depth_where_cells_are() -> None:
    scenes = simulate(2, seed=1)
    for layer, mask, depth in zip(scenes.depth_map_um[1], scenes.mask[1], scenes.depth_um[1],
                                  strict=True):  # fmt: skip
        assert (layer[mask] == depth).all()
        assert (layer[~mask] == 0).all()


def test_clean_captures_are_the_projection_of_the_layers() -> None:
    scenes = simulate(3, seed=5, peak_snr_db=None)
    expected = LayerProjector(Imager.reference()).A(scenes.layers, scenes.depth_um)
    np.testing.assert_allclose(scenes.captures, expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("peak_snr_db", [20.0, 40.0])
def test_captures_carry_the_noise_of_their_peak_snr(peak_snr_db: float) -> None:
    clean = simulate(20, seed=6, peak_snr_db=None).captures
    noisy = simulate(20, seed=6, peak_snr_db=peak_snr_db).captures
    camera = Imager.reference().camera
    peak = clean.max((-2, -1), keepdims=True)
    peak_e = float(camera.peak_photons(peak_snr_db)) * camera.quantum_efficiency
    electrons = peak_e * clean / peak
    sigma = np.sqrt(electrons + camera.floor_variance_e2) * peak / peak_e
    deviation = (noisy - clean) / sigma
    assert deviation.std() == pytest.approx(1.0, abs=0.02)
    assert deviation.mean() == pytest.approx(0.0, abs=0.02)
    together = np.corrcoef(deviation.reshape(40, -1)) - np.eye(40)
    assert np.abs(together).max() < 5 / 51  # each sensor of each scene has noise of its own


def test_a_surround_scene_is_lit_from_outside_its_frame() -> None:
    even = PerlinFoci(coverage=(1.0, 1.0), cells_per_mm2=50_000.0, brightness_sigma=0.0)

    def edge_over_middle(imager: Imager) -> float:
        scenes = simulate(8, seed=2, layers=1, imager=imager, specimen=even, peak_snr_db=None)
        edge = [scenes.captures[..., 0, :], scenes.captures[..., -1, :]]
        edge += [scenes.captures[..., 0], scenes.captures[..., -1]]
        return float(np.mean(edge) / scenes.captures[..., 20:31, 20:31].mean())

    # In the dark a pixel at the edge sees half of the plane that one in the middle sees.
    assert edge_over_middle(Imager.reference()) == pytest.approx(0.53, abs=0.06)
    assert edge_over_middle(SURROUND) == pytest.approx(1.0, abs=0.02)


def test_the_repr_of_scenes_is_one_line_without_arrays() -> None:
    imager = Imager(frame_px=(20, 31), sensors=1)
    scenes = simulate(1, seed=1, layers=1, imager=imager)
    depth = f"{scenes.depth_um[0, 0]:.0f}"
    assert repr(scenes) == (
        f"<Scenes: 1 scene, 1 layer of 20x31 pixels, 1 sensor, depths {depth} to {depth} µm>"
    )
    curved = simulate(2, seed=4, surface=TILTED)
    assert repr(curved).endswith(" µm, curved>")


# --- the exposure -------------------------------------------------------------------------------


def test_a_peak_snr_and_a_brightness_are_not_both_taken() -> None:
    with pytest.raises(SceneError, match=r"peak_snr_db and cell_photons_per_s .* 40 dB and 1000"):
        simulate(1, seed=0, peak_snr_db=40.0, cell_photons_per_s=1000.0)


@pytest.mark.parametrize("photons", [0.0, -1.0, float("nan"), float("inf")])
def test_a_cell_without_light_is_refused(photons: float) -> None:
    with pytest.raises(SceneError, match="cell_photons_per_s must lie above 0"):
        simulate(1, seed=0, cell_photons_per_s=photons)


def test_forty_decibels_go_without_saying() -> None:
    assert bytes_of(simulate(2, seed=8)) == bytes_of(simulate(2, seed=8, peak_snr_db=40.0))
    bright = simulate(2, seed=8, cell_photons_per_s=1e6)
    assert bytes_of(bright) == bytes_of(
        simulate(2, seed=8, peak_snr_db=None, cell_photons_per_s=1e6)
    )


@pytest.mark.parametrize("exposure", [{}, {"cell_photons_per_s": 1e6}], ids=str)
def test_the_fixed_pattern_of_the_camera_is_in_every_capture(exposure: dict[str, float]) -> None:
    imager = Imager.reference()
    dead = imager.with_(camera={**imager.camera.model_dump(), "dead_pixel_share": 0.02})
    pattern = dead.camera.fixed_pattern(2, (51, 51))
    assert pattern is not None
    captures = simulate(10, seed=1, imager=dead, **exposure).captures  # type: ignore[arg-type]
    clean = simulate(10, seed=1, imager=dead, peak_snr_db=None).captures
    ratio = captures.mean(0) / clean.mean(0)
    assert np.abs(ratio[pattern.dead.numpy()]).max() < 0.3
    assert ratio[~pattern.dead.numpy()].min() > 0.7


# --- layers that are not flat -------------------------------------------------------------------


TILTED = Surface(tilt_deg=8.0, sagitta_um=60.0)


@pytest.mark.parametrize("imager", [Imager.reference(), SURROUND], ids=["zero", "reflect"])
def test_curved_scenes_carry_the_depth_of_every_pixel(imager: Imager) -> None:
    scenes = simulate(3, seed=4, surface=TILTED, imager=imager)
    assert scenes.surface_um is not None
    assert scenes.surface_um.shape == scenes.mask.shape
    assert scenes.surface_um.dtype == scenes.depth_um.dtype == scenes.depth_map_um.dtype
    np.testing.assert_allclose(scenes.depth_um, scenes.surface_um.mean((-2, -1)), rtol=1e-5)
    assert (scenes.depth_map_um[scenes.mask] == scenes.surface_um[scenes.mask]).all()
    assert (scenes.depth_map_um[~scenes.mask] == 0).all()
    assert np.ptp(scenes.surface_um, axis=(-2, -1)).max() > 100


def test_only_the_depths_and_the_captures_know_of_the_surface() -> None:
    flat, curved = (simulate(3, seed=4, surface=s, peak_snr_db=None) for s in (None, TILTED))
    assert flat.layers.tobytes() == curved.layers.tobytes()
    assert flat.surface_um is None
    assert flat.captures.tobytes() != curved.captures.tobytes()


def test_a_surface_that_is_flat_is_the_flat_scene() -> None:
    flat, level = (simulate(3, seed=4, surface=s, peak_snr_db=None) for s in (None, Surface()))
    np.testing.assert_array_equal(flat.depth_map_um, level.depth_map_um)
    np.testing.assert_allclose(level.captures, flat.captures, rtol=0, atol=2e-7)


def test_a_curved_scene_does_not_depend_on_how_many_are_asked_for() -> None:
    three = simulate(3, seed=4, surface=TILTED)
    last = simulate(1, seed=4, first=2, surface=TILTED)
    assert three.captures[2:].tobytes() == last.captures.tobytes()
    assert three.depth_map_um[2:].tobytes() == last.depth_map_um.tobytes()


def test_flat_and_curved_scenes_are_joined() -> None:
    flat, curved = simulate(2, seed=4), simulate(1, seed=5, surface=TILTED)
    joined = Scenes.joined([flat, curved])
    assert joined.surface_um is not None
    np.testing.assert_array_equal(joined.depth_map_um[:2], flat.depth_map_um)
    np.testing.assert_array_equal(joined.depth_map_um[2:], curved.depth_map_um)
    assert Scenes.joined([flat, flat]).surface_um is None


# --- depths -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_depths_are_even_among_all_that_keep_the_layers_apart(layers: int) -> None:
    rng = np.random.default_rng(0)
    z = np.stack([
        draw_depths(rng, layers, min_separation_um=250.0, deepest_um=1000.0) for _ in range(4000)
    ]).astype(float)  # fmt: skip
    assert z.min() >= 0
    assert z.max() <= 1000
    if layers > 1:
        assert np.diff(z).min() >= 250 - 1e-3
    slack = 1000 - 250 * (layers - 1)
    for k in range(layers):
        # What is left of the depths without the separation is sorted uniform: a Beta distribution.
        share = (z[:, k] - 250 * k) / slack
        assert stats.kstest(share, stats.beta(k + 1, layers - k).cdf).pvalue > 1e-3


def test_depths_that_just_fit_are_the_only_ones() -> None:
    z = draw_depths(np.random.default_rng(0), 5, min_separation_um=250.0, deepest_um=1000.0)
    assert z.tolist() == [0, 250, 500, 750, 1000]


@pytest.mark.parametrize(
    ("layers", "gap_um"),
    [
        (3, 1000.0),
        (4, 1000.0),
        (6, 1000.0),
        (4, 800.0),
    ],
)  # fmt: skip
def test_layers_that_do_not_fit_are_refused_with_a_separation_that_does(
    layers: int, gap_um: float
) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(SceneError) as caught:
        draw_depths(rng, layers, min_separation_um=gap_um * 0.6, deepest_um=gap_um)
    message = str(caught.value)
    assert f"{layers} layers" in message
    assert f"{gap_um:g} µm" in message
    stated = re.search(r"at most ([\d.]+) µm", message)
    assert stated is not None
    separation = float(stated[1])
    assert separation == pytest.approx(gap_um / (layers - 1), abs=1)
    draw_depths(rng, layers, min_separation_um=separation, deepest_um=gap_um)


# --- what makes no sense ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layers": 0}, ["1 to 6", "0"]),
        ({"layers": 7}, ["1 to 6", "7"]),
        ({"count": 0}, ["count"]),
        ({"seed": -1}, ["seed", "-1"]),
        ({"first": -3}, ["first", "-3"]),
        ({"peak_snr_db": 0.0}, ["peak SNR", "53.0 dB"]),
        ({"peak_snr_db": -5.0}, ["peak SNR", "-5"]),
        ({"peak_snr_db": 60.0}, ["peak SNR", "53.0 dB", "60"]),
        ({"peak_snr_db": float("nan")}, ["peak SNR"]),
        ({"min_separation_um": 400.0}, ["4 layers", "400 µm", "333 µm"]),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SceneError) as caught:
        simulate(**{"count": 1, "seed": 0} | settings)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("separation_um", [-300.0, float("nan")])
def test_a_separation_that_is_none_is_refused(separation_um: float) -> None:
    with pytest.raises(SceneError):
        simulate(3, seed=0, min_separation_um=separation_um)


@pytest.mark.parametrize(
    "field",
    [
        {"coverage": (0.5, 1.5)},
        {"coverage": (-0.1, 0.5)},
        {"coverage": (0.5, 0.2)},
        {"autofluorescence": (-0.5, -0.2)},
        {"cells_per_mm2": float("inf")},
    ],
    ids=str,
)
def test_an_impossible_specimen_is_refused(field: dict[str, Any]) -> None:
    with pytest.raises(SceneError, match=next(iter(field))):
        PerlinFoci(**field)
