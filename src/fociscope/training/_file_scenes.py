"""Training batches from files: their scenes in any orientation, with fresh noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from fociscope.calibration import displacement_of_files, on_the_layers
from fociscope.errors import FileFormatError, RecipeError, printable
from fociscope.files import is_store
from fociscope.files.published.images_depth import DEPTH, DEPTH_MAP, RAW, SENSOR_B, ImagesDepthFile
from fociscope.files.safe.limits import DEFAULT_LIMITS, Limits
from fociscope.imager.geometry import Imager
from fociscope.simulation.dataset_check import dataset_files
from fociscope.simulation.dataset_record import has_record, read_record
from fociscope.training._augmentation import exposed, oriented
from fociscope.training._batches import Conditioning, SceneTensors, TrainingBatch, for_all_slots
from fociscope.training.recipe import Recipe

__all__ = ["FileBatches", "FileScenes", "SceneSample"]

_BUFFER_SAMPLES = 1024
_BLOCK_BYTES = 32 * 2**20
_BYTES_PER_VALUE = 4


class SceneSample(NamedTuple):
    """One scene, or a batch of them after PyTorch's default collation; float32.

    Examples:
        >>> import torch
        >>> from fociscope.training import SceneSample
        >>> images = torch.ones(4, 51, 51)
        >>> sample = SceneSample(images[:2], images, images, torch.arange(1.0, 5.0) * 200)
        >>> sample.depth_um.tolist()
        [200.0, 400.0, 600.0, 800.0]
    """

    captures: Tensor
    """(sensor, y, x) as in the file: light per pixel."""
    mask: Tensor
    """(layer, y, x) 1 where there are cells, else 0."""
    light: Tensor
    """(layer, y, x) emitted light per pixel, in the units of the captures."""
    depth_um: Tensor
    """(layer,) distance from sensor A, um, increasing."""


@dataclass(frozen=True)
class _Block:
    """Samples of one file that are read together."""

    path: Path
    start: int
    stop: int


class FileScenes(IterableDataset[SceneSample]):
    """The samples of files of the published layout, each once per epoch over all workers.

    Files are read in blocks of a bounded size; blocks come in a random order, and their samples
    leave through a buffer from which they are drawn at random. The same seed, epoch and number of
    workers give the same order.

    Attributes:
        paths: Paths of the files.
        samples: Number of scenes.
        frame_px: Size of the frames, (y, x), in pixels.
        layers: Number of layers of each scene.
        sensors: Number of sensors of each scene.
        displacement: How far captures lie beside the layers; None where nobody asks, or nothing
            tells.

    Examples:
        >>> from pathlib import Path
        >>> from torch.utils.data import DataLoader
        >>> from fociscope.files import write_images_depth
        >>> from fociscope.simulation import simulate
        >>> from fociscope.simulation.dataset import images_depth
        >>> from fociscope.training import FileScenes
        >>> scenes = simulate(4, seed=0, peak_snr_db=None)
        >>> write_images_depth(Path("set/1.mat"), images_depth(scenes))
        >>> scenes = FileScenes("set", seed=1)
        >>> scenes.samples, scenes.layers, scenes.sensors
        (4, 4, 2)
        >>> batch = next(iter(DataLoader(scenes, batch_size=2)))
        >>> batch.captures.shape
        torch.Size([2, 2, 51, 51])
    """

    def __init__(
        self,
        source: str | Path | Sequence[str | Path],
        *,
        seed: int = 0,
        shuffle: bool = True,
        buffer_samples: int = _BUFFER_SAMPLES,
        block_bytes: int = _BLOCK_BYTES,
        limits: Limits = DEFAULT_LIMITS,
        imager: Imager | None = None,
    ) -> None:
        """Check the files; no sample is read yet.

        Args:
            source: Folder of files (`fociscope simulate` or others'), one file, or several, in any
                of the formats.
            seed: Seed of the order.
            shuffle: Whether to mix the samples; otherwise they come in their order, block by block
                over the workers.
            buffer_samples: Number of samples that each worker keeps, to draw from.
            block_bytes: Number of bytes that each worker reads at once. A MAT v5 file with
                compression is one block, however large: it can only be decoded as a whole.
            limits: Largest sizes that a file may claim.
            imager: Imager that took the captures, roughly; with one, captures that lie beside the
                layers are moved onto them, by whole pixels.

        Raises:
            FileFormatError: if a file cannot be read, lacks a variable, or differs from the others
                in frame, layers or sensors.
        """
        super().__init__()
        given = [source] if isinstance(source, str | Path) else list(source)
        places = [Path(path) for path in given]
        self.paths = [
            file for path in places for file in (dataset_files(path) if _is_set(path) else [path])
        ]
        if not self.paths:
            raise FileFormatError("no file given, expected files of the published layout.")
        self._seed, self._shuffle = seed, shuffle
        self._buffer_samples, self._limits = max(1, buffer_samples), limits
        self._epoch = torch.zeros((), dtype=torch.int64)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]  # so that workers see it change
        self._blocks: list[_Block] = []
        self.samples = 0
        shapes: dict[str, tuple[int, ...]] = {}
        for path in self.paths:
            with ImagesDepthFile.open(path, limits) as file:
                self._check(file, shapes)
                self._cut(file, block_bytes)
        self.displacement = None
        if imager is not None and not all(_lies_on_its_layers(path) for path in places):
            self.displacement = displacement_of_files(self.paths, imager)
        self.sensors = 1 + (SENSOR_B in shapes)
        self.layers, height, width = shapes[RAW]
        self.frame_px = (height, width)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass, also in workers that persist."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[SceneSample]:
        """Yield this worker's samples of the epoch."""
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        epoch = int(self._epoch)
        blocks = self._blocks
        if self._shuffle:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(blocks))
            blocks = [blocks[index] for index in order]
        rng = np.random.default_rng([self._seed, epoch, number, workers])
        samples = self._read(blocks[number::workers], rng)
        for sample in self._mixed(samples, rng) if self._shuffle else samples:
            yield sample._replace(mask=sample.mask.float())

    def _check(self, file: ImagesDepthFile, shapes: dict[str, tuple[int, ...]]) -> None:
        """Compare the shapes of one file's samples with the first file's."""
        for name in (RAW, DEPTH_MAP, DEPTH):
            if name not in file.names:
                raise FileFormatError(
                    f"{printable(file.path)}: has no variable {name}, expected one to train on; "
                    "simulate the set again or leave this file out."
                )
        found = {name: file.shape(name)[1:] for name in file.names}
        if not shapes:
            shapes.update(found)
        if shapes != found:
            raise FileFormatError(
                f"{printable(file.path)}: its samples have other shapes or variables ({found}) "
                f"than those of {printable(self.paths[0])} ({shapes}), expected the same; read "
                "them apart."
            )

    def _cut(self, file: ImagesDepthFile, block_bytes: int) -> None:
        """Add the blocks of a file."""
        values = sum(int(np.prod(file.shape(name)[1:])) for name in file.names)
        step = max(1, block_bytes // (values * _BYTES_PER_VALUE))
        step = step if file.is_sliceable else file.samples
        for start in range(0, file.samples, step):
            self._blocks.append(_Block(file.path, start, min(start + step, file.samples)))
        self.samples += file.samples

    def _read(self, blocks: list[_Block], rng: np.random.Generator) -> Iterator[SceneSample]:
        """Yield the samples of one block after the other; masks are boolean to save memory."""
        for block in blocks:
            with ImagesDepthFile.open(block.path, self._limits) as file:
                data = file.read(block.start, block.stop)
            captures = data.captures
            if self.displacement is not None:
                captures = on_the_layers(captures, self.displacement)
            assert data.raw is not None
            assert data.depth_map_um is not None
            assert data.depth_um is not None
            count = block.stop - block.start
            for index in rng.permutation(count) if self._shuffle else range(count):
                yield SceneSample(
                    captures=torch.from_numpy(captures[index].copy()),
                    mask=torch.from_numpy(data.depth_map_um[index] > 0),
                    light=torch.from_numpy(data.raw[index].copy()),
                    depth_um=torch.from_numpy(data.depth_um[index].copy()),
                )

    def _mixed(
        self, samples: Iterator[SceneSample], rng: np.random.Generator
    ) -> Iterator[SceneSample]:
        """Yield samples by way of a buffer that mixes the blocks."""
        buffer: list[SceneSample] = []
        for sample in samples:
            if len(buffer) < self._buffer_samples:
                buffer.append(sample)
                continue
            place = int(rng.integers(len(buffer)))
            yield buffer[place]
            buffer[place] = sample
        for place in rng.permutation(len(buffer)):
            yield buffer[place]


class FileBatches(IterableDataset[TrainingBatch]):
    """Training batches without end, over the scenes of files again and again.

    Captures get the recipe's noise, so files without noise are what to train on, as the published
    ones are. A run that is resumed reads the scenes of its pass again up to the step, and sees what
    it would have seen without the interruption. Of several processes each takes every n-th scene.
    """

    def __init__(
        self,
        recipe: Recipe,
        source: Path,
        first_step: int = 0,
        *,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Check the files.

        Args:
            recipe: Recipe that they must fit.
            source: Folder of files of the published layout, or one of them.
            first_step: Step of the first batch.
            rank: Number of this process among those that train together.
            world_size: Number of these processes.

        Raises:
            FileFormatError: if a file cannot be read.
            RecipeError: if the files hold other layers, sensors or frames than the recipe, or fewer
                scenes than a batch of all processes.
        """
        super().__init__()
        self.recipe, self.first_step = recipe, first_step
        self.rank, self.world_size = rank, world_size
        self.conditioning = Conditioning(recipe)
        self.scenes = FileScenes(source, seed=recipe.seeds.training, imager=recipe.imager)
        if self.scenes.layers > recipe.network.layers:
            raise RecipeError(
                f"{source}: holds scenes of {self.scenes.layers} layers, but the recipe's network "
                f"has {recipe.network.layers}"
            )
        for what, found, wanted in (
            ("sensors", self.scenes.sensors, recipe.network.sensors),
            ("frames", self.scenes.frame_px, recipe.imager.frame_px),
        ):
            if found != wanted:
                raise RecipeError(
                    f"{source}: holds {what} of {found}, but the recipe asks for {wanted}"
                )
        needed = recipe.optimisation.batch_scenes * world_size
        if self.scenes.samples < needed:
            each = "" if world_size == 1 else f" ({world_size} processes together)"
            raise RecipeError(
                f"{source}: holds {self.scenes.samples} scenes, fewer than a batch of "
                f"{needed}{each}; add files or lower optimisation.batch_scenes"
            )

    def __iter__(self) -> Iterator[TrainingBatch]:
        """Yield batch after batch."""
        step, per_batch = self.first_step, self.recipe.optimisation.batch_scenes
        waiting: list[SceneSample] = []
        for sample in self._samples(start=step * per_batch * self.world_size):
            waiting.append(sample)
            if len(waiting) == per_batch:
                yield self._batch(waiting, step)
                waiting, step = [], step + 1

    def _samples(self, start: int) -> Iterator[SceneSample]:
        """Yield this process's share of all passes, from the scene of number `start` on."""
        epoch = start // self.scenes.samples
        number = epoch * self.scenes.samples
        while True:
            self.scenes.set_epoch(epoch)
            for sample in self.scenes:
                if number >= start and number % self.world_size == self.rank:
                    yield sample
                number += 1
            epoch += 1

    def _batch(self, samples: list[SceneSample], step: int) -> TrainingBatch:
        recipe = self.recipe
        # Without the rank where it is zero: what one process draws is as it has always been.
        others = [self.rank] if self.rank else []
        rng = np.random.default_rng([recipe.seeds.training, step, *others])
        psf, gap_um = recipe.grating, recipe.imager.gap_um
        blur_px = psf.base_blur_um / recipe.imager.square_pitch_um
        scenes = [
            (
                s.captures,
                *for_all_slots(
                    s.mask,
                    s.light * psf.collection_efficiency(),
                    s.depth_um / gap_um,
                    recipe.network.layers,
                ),
                torch.tensor(self.scenes.layers),
                torch.tensor(psf.half_angle_deg),
                torch.tensor(blur_px),
            )
            for s in samples
        ]
        stacked = SceneTensors(*(torch.stack(f) for f in zip(*oriented(scenes, rng), strict=True)))
        seen = exposed(stacked.captures, recipe, rng, fixed_pattern=None)
        return self.conditioning.batch(seen, stacked, rng)


def _lies_on_its_layers(path: Path) -> bool:
    """Return whether a data set's own record says that its captures are not displaced."""
    return _is_set(path) and has_record(path) and read_record(path).plan.displacement_px == (0, 0)


def _is_set(path: Path) -> bool:
    """Whether a path is a folder of files, and no Zarr store."""
    return path.is_dir() and not is_store(path)
