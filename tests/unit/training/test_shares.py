"""What each of several processes sees: never the same, together all, and the same when resumed."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from fociscope.errors import RecipeError
from fociscope.files import write_images_depth
from fociscope.imager import Imager
from fociscope.networks.layer_net import Architecture
from fociscope.simulation import simulate
from fociscope.simulation.dataset import images_depth
from fociscope.training._batches import batches_of_rank
from fociscope.training._file_scenes import FileBatches
from fociscope.training.live_scenes import LiveScenes, TrainingBatch
from fociscope.training.recipe import ImagerDistribution, Optimisation, Recipe, Stream, Validation

SCENES = 10


def recipe(batch_scenes: int = 2) -> Recipe:
    return Recipe(
        name="tiny",
        imager=Imager(frame_px=(32, 32)),
        network=Architecture(layers=3, widths=(4, 8), blocks=(1, 1), context=8),
        validation=Validation(layers=3),
        stream=Stream(pool_chunks=2, chunk_scenes=3, steps_per_chunk=3),
        optimisation=Optimisation(steps=10, batch_scenes=batch_scenes),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("data")
    scenes = simulate(
        SCENES, seed=5, layers=3, imager=recipe().imager, peak_snr_db=None, min_separation_um=250
    )
    write_images_depth(path / "1.mat", images_depth(scenes))
    return path


def depths(batches: Iterable[TrainingBatch], count: int) -> list[tuple[float, ...]]:
    """The scenes of the first batches, told by their depths."""
    scenes = torch.cat([batch.depth for batch in islice(iter(batches), count)])
    return [tuple(scene.tolist()) for scene in scenes]


def equal(ours: TrainingBatch, theirs: TrainingBatch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


# --- live ---------------------------------------------------------------------------------------


def test_no_scene_of_a_live_stream_is_seen_by_two_processes() -> None:
    seen = [set(depths(LiveScenes(recipe(), rank=r, world_size=3), 9)) for r in range(3)]
    assert all(len(scenes) > 6 for scenes in seen)
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]


def test_processes_pick_turn_and_expose_differently() -> None:
    """Even from one pool: the same scenes at the same step would be half of them wasted."""
    streams = [LiveScenes(recipe(), rank=r, world_size=2) for r in range(2)]
    pool = [streams[0].chunk(0), streams[0].chunk(1)]
    one, other = (stream.batch(pool, 0) for stream in streams)
    assert not equal(one, other)


def test_the_chunks_of_all_processes_are_those_of_one() -> None:
    plan = recipe().model_copy(update={"family": ImagerDistribution(boundaries=("zero",))})
    alone = LiveScenes(plan)
    for number in range(4):
        shared = LiveScenes(plan, rank=number % 2, world_size=2).chunk(number // 2)
        assert equal(shared, alone.chunk(number))


@pytest.mark.parametrize("rank", [0, 1])
def test_every_process_sees_every_boundary(rank: int) -> None:
    """Else the running statistics of the first process would be those of one boundary."""
    plan = recipe()
    stream = LiveScenes(plan, rank=rank, world_size=2)
    zero = plan.model_copy(update={"family": ImagerDistribution(boundaries=("zero",))})
    same = LiveScenes(zero, rank=rank, world_size=2)
    found = [equal(stream.chunk(number), same.chunk(number)) for number in range(4)]
    assert sorted(found) == [False, False, True, True]


def test_a_process_goes_on_with_what_it_would_have_seen() -> None:
    def stream(first: int) -> LiveScenes:
        return LiveScenes(recipe(), first, rank=1, world_size=2)

    resumed = next(iter(stream(4)))
    assert equal(resumed, next(islice(iter(stream(0)), 4, None)))


# --- files --------------------------------------------------------------------------------------


def test_processes_together_see_every_scene_of_files_once_a_pass(folder: Path) -> None:
    seen = [depths(FileBatches(recipe(5), folder, rank=r, world_size=2), 1) for r in range(2)]
    assert len(set(seen[0]) | set(seen[1])) == SCENES


@pytest.mark.parametrize("step", [1, 3, 5, 8])
@pytest.mark.parametrize(("rank", "world_size"), [(0, 1), (1, 2), (2, 3)])
def test_files_go_on_with_what_would_have_come(
    folder: Path, step: int, rank: int, world_size: int
) -> None:
    def stream(first: int) -> FileBatches:
        return FileBatches(recipe(3), folder, first, rank=rank, world_size=world_size)

    resumed = islice(iter(stream(step)), 3)
    whole = islice(iter(stream(0)), step, step + 3)
    assert all(equal(a, b) for a, b in zip(resumed, whole, strict=True))


def test_fewer_scenes_than_all_processes_need_are_refused(folder: Path) -> None:
    FileBatches(recipe(5), folder, world_size=2)
    with pytest.raises(RecipeError, match=r"batch of 12 \(2 processes together\)"):
        FileBatches(recipe(6), folder, world_size=2)


# --- validation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("scenes", [4, 5, 100, 101, 399, 400])
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_every_scene_is_scored_once_in_equally_many_batches(scenes: int, world_size: int) -> None:
    parts = [batches_of_rank(scenes, rank, world_size) for rank in range(world_size)]
    numbers = [number for part in parts for batch in part for number in batch]
    assert sorted(numbers) == list(range(scenes))
    assert len({len(part) for part in parts}) == 1
    sizes = np.array([len(batch) for part in parts for batch in part])
    assert sizes.min() >= 1
    assert sizes.max() <= 100


def test_one_process_scores_in_the_order_of_the_scenes() -> None:
    assert batches_of_rank(400) == [list(range(start, start + 100)) for start in range(0, 400, 100)]


def test_fewer_scenes_than_processes_are_refused() -> None:
    with pytest.raises(RecipeError, match="at least the number of processes"):
        batches_of_rank(3, 0, 4)
