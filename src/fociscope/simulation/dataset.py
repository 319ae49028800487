"""Data sets: many scenes in the published `.mat` layout, generated on all cores.

The same seed gives the same bytes whatever the number of workers: a scene depends on its own number
alone, and is simulated on one thread.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from fociscope.errors import OutputExistsError, SceneError
from fociscope.files.mat import ImagesDepth, write_images_depth
from fociscope.imager.geometry import Imager
from fociscope.simulation.scene import Scenes, chunk_scenes, simulate

__all__ = ["images_depth", "write_images_depth_set"]


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _chunk(job: tuple[int, int, dict[str, Any]]) -> Scenes:
    """Simulate `count` scenes from number `first` on, on one thread."""
    first, count, settings = job
    with _one_thread():
        return simulate(count, first=first, **settings)


def images_depth(scenes: Scenes) -> ImagesDepth:
    """Return scenes as the samples of the published layout."""
    return ImagesDepth(
        raw=scenes.layers,
        captures=scenes.captures,
        depth_map_um=scenes.depth_map_um,
        depth_um=scenes.depth_um,
    )


def write_images_depth_set(
    folder: Path,
    *,
    files: int = 6,
    samples: int = 2000,
    workers: int | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> list[Path]:
    """Simulate `1.mat`, `2.mat` ... of the published `images_depth` layout.

    Each file is written when it is complete, and is either whole or absent.

    Args:
        folder: where to; it is made where it is missing.
        files: how many.
        samples: scenes per file.
        workers: processes; without it, one per core.
        overwrite: replace files that are there already.
        progress: called with the scenes done and their total.
        settings: `seed` and whatever else `simulate` takes.

    Returns:
        The files.

    Raises:
        OutputExistsError: one of the files is there, and `overwrite` was not asked for.
        SceneError: settings that make no scene.
    """
    if files < 1 or samples < 1 or (workers is not None and workers < 1):
        raise SceneError(
            f"files, samples and workers must be at least 1; got {files}, {samples}, {workers}"
        )
    paths = [folder / f"{number}.mat" for number in range(1, files + 1)]
    for path in paths:
        if path.exists() and not overwrite:
            raise OutputExistsError(
                f"{path}: exists already; choose another folder or allow overwriting "
                "(--overwrite, overwrite=True)."
            )
    simulate(1, **settings)  # wrong settings show before the work
    step = chunk_scenes(settings.get("imager") or Imager.reference())
    per_file = [
        [
            (file * samples + start, min(step, samples - start), settings)
            for start in range(0, samples, step)
        ]
        for file in range(files)
    ]
    jobs = [job for chunk_jobs in per_file for job in chunk_jobs]
    workers = min(workers or os.cpu_count() or 1, len(jobs))
    done, total = 0, files * samples
    with _chunks(jobs, workers) as results:
        for path, chunk_jobs in zip(paths, per_file, strict=True):
            chunks = []
            for _ in chunk_jobs:
                chunks.append(next(results))
                done += len(chunks[-1])
                if progress is not None:
                    progress(done, total)
            write_images_depth(path, images_depth(Scenes.joined(chunks)), overwrite=overwrite)
    return paths


@contextmanager
def _chunks(
    jobs: list[tuple[int, int, dict[str, Any]]], workers: int
) -> Iterator[Iterator[Scenes]]:
    """Yield the jobs' scenes in their order, with at most a few chunks ahead of the reader."""
    if workers == 1:
        yield map(_chunk, jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context)

    def ahead() -> Iterator[Scenes]:
        waiting = [pool.submit(_chunk, job) for job in jobs[: 2 * workers]]
        for following in [*jobs[2 * workers :], *[None] * len(waiting)]:
            result = waiting.pop(0).result()
            if following is not None:
                waiting.append(pool.submit(_chunk, following))
            yield result

    try:
        yield ahead()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
