import re
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from fociscope.errors import SceneError
from fociscope.imager import Imager, LayerProjector
from fociscope.simulation import Scenes, Specimen, draw_depths, simulate

FIELDS = ["layers", "mask", "depth_um", "captures"]
SURROUND = Imager.reference().with_(boundary="surround")


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
    even = Specimen(coverage=(1.0, 1.0), cells_per_mm2=50_000.0, brightness_sigma=0.0)

    def edge_over_middle(imager: Imager) -> float:
        scenes = simulate(8, seed=2, layers=1, imager=imager, specimen=even, peak_snr_db=None)
        edge = [scenes.captures[..., 0, :], scenes.captures[..., -1, :]]
        edge += [scenes.captures[..., 0], scenes.captures[..., -1]]
        return float(np.mean(edge) / scenes.captures[..., 20:31, 20:31].mean())

    # In the dark a pixel at the edge sees half of the plane that one in the middle sees.
    assert edge_over_middle(Imager.reference()) == pytest.approx(0.53, abs=0.06)
    assert edge_over_middle(SURROUND) == pytest.approx(1.0, abs=0.02)


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
    assert f"{gap_um:g} um" in message
    stated = re.search(r"at most ([\d.]+) um", message)
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
        ({"min_separation_um": 400.0}, ["4 layers", "400 um", "333 um"]),
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
    with pytest.raises(ValueError, match=next(iter(field))):
        Specimen(**field)
