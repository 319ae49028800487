from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from fociscope.imager import AngleSelectivePsf, Imager, LayerProjector
from fociscope.networks.layer_net import Architecture
from fociscope.simulation.tissue import PerlinFoci
from fociscope.training._augmentation import orient
from fociscope.training._batches import SceneTensors, TrainingBatch, conditioning_noise
from fociscope.training.live_scenes import LiveScenes
from fociscope.training.recipe import (
    ImagerDistribution,
    Optimisation,
    OtherSpecimen,
    Recipe,
    SceneDistribution,
    Seeds,
    Stream,
    Validation,
)


def tiny(**changes: object) -> Recipe:
    """A recipe whose batches take milliseconds."""
    recipe = Recipe(
        name="tiny",
        imager=Imager(frame_px=(32, 32)),
        network=Architecture(layers=3, widths=(4, 8), blocks=(1, 1), context=8),
        stream=Stream(pool_chunks=2, chunk_scenes=3, steps_per_chunk=3),
        optimisation=Optimisation(steps=10, batch_scenes=4),
        validation=Validation(layers=3),
    )
    return recipe.model_copy(update=changes)


def bytes_of(batches: list[TrainingBatch]) -> list[list[bytes]]:
    return [[field.numpy().tobytes() for field in batch] for batch in batches]


def run(recipe: Recipe, first: int, count: int, skip: int = 0) -> list[TrainingBatch]:
    return list(islice(LiveScenes(recipe, first), skip, skip + count))


# --- a batch is a function of the step ----------------------------------------------------------


@pytest.mark.parametrize("step", [1, 3, 5, 9])
def test_going_on_at_a_step_gives_what_running_to_it_gives(step: int) -> None:
    assert bytes_of(run(tiny(), first=step, count=4)) == bytes_of(run(tiny(), 0, 4, skip=step))


def test_every_step_and_every_seed_gives_another_batch() -> None:
    batches = bytes_of(run(tiny(), 0, 7)) + bytes_of(run(tiny(seeds=Seeds(training=7)), 0, 7))
    assert len({captures for captures, *_ in batches}) == 14


def test_the_stream_leaves_the_global_generators_alone() -> None:
    before = torch.random.get_rng_state()
    run(tiny(), 0, 2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_shapes_and_ranges() -> None:
    (batch,) = run(tiny(), 0, 1)
    assert batch.captures.shape == (4, 2, 32, 32)
    assert batch.mask.shape == batch.intensity.shape == (4, 3, 32, 32)
    assert batch.depth.shape == (4, 3)
    assert batch.optics.shape == (4, 16)
    assert batch.layers.tolist() == batch.most_layers.tolist() == [3, 3, 3, 3]
    numbers = {batch.layers.dtype, batch.most_layers.dtype}
    assert numbers == {torch.int64}
    assert {f.dtype for f in batch} == {torch.float32, torch.int64}
    assert set(batch.mask.unique().tolist()) <= {0.0, 1.0}
    assert float(batch.depth.min()) >= 0
    assert float(batch.depth.max()) <= 1 + 1e-6
    assert float(batch.depth.diff(dim=1).min()) >= 0.25 - 1e-6


# --- batches from the pool -----------------------------------------------------------------------


def source(batch: TrainingBatch, sample: int, pool: list[SceneTensors]) -> tuple[int, SceneTensors]:
    """Find a sample's scene in the pool, and its orientation, by its intensity."""
    for chunk in pool:
        for scene in range(len(chunk.depth)):
            for k in range(8):
                if torch.equal(orient(chunk.intensity[scene], k), batch.intensity[sample]):
                    return k, SceneTensors(*(field[scene] for field in chunk))
    pytest.fail("a sample of the batch is no scene of the pool")


def test_a_batch_holds_oriented_scenes_of_the_pool_under_fresh_noise() -> None:
    recipe = tiny(
        family=ImagerDistribution(
            peak_snr_db=(30.0, 30.0), shift_px=0.0, rotation_deg=0.0, background=0.0
        )
    )
    stream, camera = LiveScenes(recipe), recipe.imager.camera
    pool = [stream.chunk(0), stream.chunk(1)]
    peak_e = float(camera.peak_photons(30.0)) * camera.quantum_efficiency
    orientations, deviations = set(), []
    for step in range(12):
        batch = stream.batch(pool, step)
        for sample in range(4):
            k, scene = source(batch, sample, pool)
            orientations.add(k)
            assert torch.equal(batch.mask[sample], orient(scene.mask, k))
            assert torch.equal(batch.depth[sample], scene.depth)
            clean = orient(scene.captures, k)
            unit = clean.amax((-2, -1), keepdim=True) / peak_e
            sigma = unit * torch.sqrt(clean / unit + camera.floor_variance_e2)
            deviations.append((batch.captures[sample] - clean) / sigma)
    assert orientations == set(range(8))
    noise = torch.stack(deviations)
    assert float(noise.std()) == pytest.approx(1.0, abs=0.03)
    assert len({n.numpy().tobytes() for n in noise}) == len(noise)


def test_the_pool_is_renewed_chunk_by_chunk() -> None:
    recipe = tiny()
    stream = LiveScenes(recipe)
    for step, batch in enumerate(run(recipe, 0, 8)):
        newest = step // recipe.stream.steps_per_chunk + 1
        expected = stream.batch([stream.chunk(newest - 1), stream.chunk(newest)], step)
        assert bytes_of([batch]) == bytes_of([expected])


# --- chunks -------------------------------------------------------------------------------------


def exact(boundary: str, half_angle_deg: float, base_blur_px: float) -> Recipe:
    family = ImagerDistribution.model_validate({
        "half_angle_deg": (half_angle_deg,) * 2,
        "base_blur_px": (base_blur_px,) * 2,
        "boundaries": (boundary,),
    })  # fmt: skip
    return tiny(family=family)


def projected(chunk: SceneTensors, half_angle_deg: float, base_blur_px: float) -> Tensor:
    psf = AngleSelectivePsf(half_angle_deg=half_angle_deg, base_blur_um=55.0 * base_blur_px)
    imager = Imager(frame_px=(32, 32), psf=psf)
    light = chunk.intensity / psf.collection_efficiency()
    captures = LayerProjector(imager).A(light, chunk.depth * imager.gap_um)
    assert isinstance(captures, Tensor)
    return captures


@pytest.mark.parametrize(("half_angle_deg", "base_blur_px"), [(18.0, 0.0), (12.0, 1.2)])
def test_a_chunk_is_the_projection_of_its_layers(
    half_angle_deg: float, base_blur_px: float
) -> None:
    chunk = LiveScenes(exact("zero", half_angle_deg, base_blur_px)).chunk(0)
    expected = projected(chunk, half_angle_deg, base_blur_px)
    torch.testing.assert_close(chunk.captures, expected, rtol=1e-4, atol=1e-6)


def test_a_surround_chunk_has_the_same_light_and_more_from_outside() -> None:
    chunk = LiveScenes(exact("reflect", 18.0, 0.0)).chunk(0)
    extra = chunk.captures - projected(chunk, 18.0, 0.0)
    assert float(extra.min()) > -1e-3 * float(chunk.captures.max())
    edge = (extra[..., 0, :].mean() + extra[..., -1, :].mean()) / 2
    assert float(edge) > 2 * float(extra[..., 7:9, 7:9].mean()) > 0


def test_every_chunk_and_scene_is_another() -> None:
    stream = LiveScenes(exact("zero", 18.0, 0.0))
    for field in list(zip(*(stream.chunk(number) for number in range(4)), strict=True))[:4]:
        assert len({scene.numpy().tobytes() for chunk in field for scene in chunk}) == 12


def test_boundaries_take_turns() -> None:
    zero, both = LiveScenes(exact("zero", 18.0, 0.0)), tiny(
        family=ImagerDistribution(half_angle_deg=(18.0, 18.0), base_blur_px=(0.0, 0.0))
    )  # fmt: skip
    for number in range(4):
        same = torch.equal(LiveScenes(both).chunk(number).captures, zero.chunk(number).captures)
        assert same == (number % 2 == 0)


def test_the_intensity_is_the_light_that_reaches_the_sensor() -> None:
    """In a gap of one micrometre every layer lies on the sensor, which then sees their sum."""
    recipe = tiny(
        imager=Imager(frame_px=(32, 32), gap_um=1.0),
        scenes=SceneDistribution(min_separation_um=(0.0, 0.0)),
        family=ImagerDistribution(base_blur_px=(0.0, 0.0), boundaries=("zero",)),
        stream=Stream(chunk_scenes=16),
    )
    chunk = LiveScenes(recipe).chunk(0)
    for sensor in range(2):
        torch.testing.assert_close(
            chunk.captures[:, sensor], chunk.intensity.sum(1), rtol=2e-3, atol=1e-5
        )
    assert float(chunk.intensity.amax()) < 3  # it is a few per cent of what is emitted


def test_a_frame_that_is_not_square_keeps_its_shape() -> None:
    recipe = tiny(imager=Imager(frame_px=(32, 40)))
    stream = LiveScenes(recipe)
    pool = [stream.chunk(n) for n in range(2)]
    for step in range(6):
        assert stream.batch(pool, step).captures.shape[-2:] == (32, 40)


# --- layers and specimens -----------------------------------------------------------------------


def test_scenes_have_as_many_layers_as_the_family_says() -> None:
    scenes = SceneDistribution(layer_counts=(1, 0, 3))
    chunk = LiveScenes(tiny(scenes=scenes, stream=Stream(chunk_scenes=200))).chunk(0)
    counts = chunk.layers.bincount(minlength=4).tolist()
    assert counts[:1] + counts[2:3] == [0, 0]
    assert counts[1] == pytest.approx(50, abs=20)
    for n, there in enumerate(chunk.layers.tolist()):
        assert not chunk.mask[n, there:].any()
        assert not chunk.intensity[n, there:].any()
        assert (chunk.depth[n, there:] == 1).all()
        assert chunk.intensity[n, :there].flatten(1).amax(1).min() > 0


def test_many_layers_leave_a_quarter_of_the_gap_free() -> None:
    recipe = tiny(
        network=Architecture(layers=6, widths=(4, 8), blocks=(1, 1), context=8),
        scenes=SceneDistribution(layer_counts=(0, 0, 0, 0, 0, 1)),
        stream=Stream(chunk_scenes=50),
    )
    apart = LiveScenes(recipe).chunk(0).depth.diff(dim=1)
    assert float(apart.min()) == pytest.approx(0.15, abs=0.01)


def test_other_specimens_come_as_often_as_the_recipe_says() -> None:
    empty = OtherSpecimen(share=0.25, specimen=PerlinFoci(coverage=(0.0, 0.0)))
    recipe = tiny(scenes=SceneDistribution(others=(empty,)), stream=Stream(chunk_scenes=200))
    covered = LiveScenes(recipe).chunk(0).mask.flatten(1).any(dim=1)
    assert float(covered.float().mean()) == pytest.approx(0.75, abs=0.1)


def test_the_network_is_told_at_least_as_many_layers_as_there_are() -> None:
    scenes = SceneDistribution(layer_counts=(1, 1, 1))
    stream = LiveScenes(tiny(scenes=scenes, stream=Stream(chunk_scenes=50)))
    pool = [stream.chunk(n) for n in range(2)]
    batches = [stream.batch(pool, step) for step in range(150)]
    layers = torch.cat([b.layers for b in batches])
    most = torch.cat([b.most_layers for b in batches])
    assert (most >= layers).all()
    assert int(most.max()) == 3
    exactly = (most == layers)[layers == 1].float().mean()
    # Half of the time by intention, a twelfth by the draw between 1 and 3.
    assert float(exactly) == pytest.approx(7 / 12, abs=0.1)


def test_the_optics_are_told_with_errors() -> None:
    sure, unsure = ImagerDistribution(exact_fraction=1.0), ImagerDistribution(exact_fraction=0.0)
    exact, vague = (LiveScenes(tiny(family=f)) for f in (sure, unsure))
    pool = [exact.chunk(n) for n in range(2)]
    told, true = vague.batch(pool, 0), exact.batch(pool, 0)
    assert torch.equal(told.mask, true.mask)
    octaves = (told.optics - true.optics).abs().amax(dim=1)
    assert (octaves > 1e-3).all()
    assert float(octaves.max()) < 1.5


def test_half_of_the_imagers_are_told_exactly() -> None:
    rng = np.random.default_rng(0)
    family = ImagerDistribution(exact_fraction=0.5, conditioning_half_angle_std_deg=2.0)
    angle_error_deg, blur_error_px = conditioning_noise(family, rng, 4000)
    exactly = angle_error_deg == 0
    assert torch.equal(exactly, blur_error_px == 0)
    assert float(exactly.float().mean()) == pytest.approx(0.5, abs=0.03)
    assert float(angle_error_deg[~exactly].std()) == pytest.approx(2.0, rel=0.05)


# --- the core of a family -----------------------------------------------------------------------


def drawn_imagers(**core: object) -> tuple[Tensor, Tensor]:
    family = ImagerDistribution.model_validate(
        {"half_angle_deg": (10.0, 30.0), "base_blur_px": (0.1, 1.3), "focus": core}
    )
    chunk = LiveScenes(
        tiny(family=family, stream=Stream(pool_chunks=1, chunk_scenes=400, steps_per_chunk=1))
    ).chunk(0)
    return chunk.half_angle_deg, chunk.base_blur_px


def test_the_core_is_drawn_as_often_as_asked_and_the_rest_evenly() -> None:
    core = {"half_angle_deg": (17.0, 18.0), "base_blur_px": (0.1, 0.2), "zero_blur_fraction": 0.0}
    half_angle_deg, base_blur_px = drawn_imagers(share=0.6, **core)
    inside = (half_angle_deg >= 17) & (half_angle_deg <= 18)
    # 60 %, and a twentieth of the even draws; the standard deviation of 400 is 2.4 %.
    assert float(inside.float().mean()) == pytest.approx(0.62, abs=0.08)
    assert float((base_blur_px[inside] <= 0.2).float().mean()) > 0.9
    assert float(half_angle_deg[~inside].std()) == pytest.approx(20 / 12**0.5, rel=0.2)


def test_a_share_of_the_core_is_exactly_sharp() -> None:
    core = {"half_angle_deg": (17.0, 18.0), "base_blur_px": (0.1, 0.2), "zero_blur_fraction": 0.5}
    _, base_blur_px = drawn_imagers(share=1.0, **core)
    sharp = base_blur_px == torch.tensor(0.1)
    assert float(sharp.float().mean()) == pytest.approx(0.5, abs=0.1)
