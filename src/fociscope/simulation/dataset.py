"""Data sets: many scenes in the published layout, generated on all cores.

The same plan gives the same bytes whatever the number of workers, and whether or not it was
interrupted: a scene depends on its own number alone, and a file is either whole or absent.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np

from fociscope.errors import FociscopeError, OutputExistsError, SceneError, printable
from fociscope.files.published.images_depth import ImagesDepth
from fociscope.files.published.writer import LayoutFormat, write_images_depth
from fociscope.files.safe.backup import Backup
from fociscope.files.safe.checksum import sha256, total_bytes
from fociscope.files.safe.locks import discard_leftovers, locked_folder
from fociscope.simulation.dataset_check import file_state
from fociscope.simulation.dataset_record import (
    RECORD_NAME,
    DatasetPlan,
    DatasetRecord,
    FileRecord,
    Statistics,
    current_versions,
    has_record,
    read_record,
)
from fociscope.simulation.frame import chunk_scenes
from fociscope.simulation.scene import Scenes, simulate
from fociscope.threads import one_thread

__all__ = [
    "SceneJob",
    "WrittenSet",
    "available_cores",
    "images_depth",
    "simulated",
    "write_dataset",
]

_CHUNKS_AHEAD = 6  # per worker, for the while that the reader writes a file


@dataclass(frozen=True)
class SceneJob:
    """Some scenes to simulate."""

    first: int
    count: int
    settings: dict[str, Any]


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def simulated(jobs: Sequence[SceneJob], workers: int) -> Iterator[Iterator[Scenes]]:
    """Yield the jobs' scenes in their order, with at most a few chunks ahead of the reader."""
    workers = min(workers, len(jobs))
    if workers <= 1:
        yield map(_run, jobs)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)

    def ahead() -> Iterator[Scenes]:
        window = _CHUNKS_AHEAD * workers
        with _ctrl_c_held_back():  # starts the workers
            waiting = [pool.submit(_run, job) for job in jobs[:window]]
        following = iter(jobs[window:])
        while waiting:
            scenes = waiting.pop(0).result()
            waiting.extend(pool.submit(_run, job) for job in [next(following, None)] if job)
            yield scenes

    try:
        yield ahead()
    except BrokenProcessPool:
        raise SceneError(
            "a worker process was killed, mostly for want of memory; ask for fewer workers"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _run(job: SceneJob) -> Scenes:
    """Simulate on one thread, because sums over several depend on their number."""
    with one_thread():
        return simulate(job.count, first=job.first, **job.settings)


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Start processes that leave Ctrl-C to their parent from their first moment on.

    They inherit the mask; the parent hears of a Ctrl-C a moment later. Windows has no masks.
    """
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and do not outlive it: a killed parent closes no queue."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@dataclass(frozen=True)
class WrittenSet:
    """What `write_dataset` did."""

    record: DatasetRecord
    made: tuple[str, ...]
    """Names of the files that it wrote."""
    kept: tuple[str, ...]
    """Names of those that were there already, whole and with the recorded checksum."""
    discarded: tuple[str, ...]
    """Names of half-written files of a killed run, which it removed."""


def images_depth(scenes: Scenes) -> ImagesDepth:
    """Return scenes as the samples of the published layout.

    Raises:
        SceneError: layers are tilted or curved, which the layout cannot say.
    """
    if scenes.surface_um is not None:
        raise SceneError(
            "the published layout has one depth per layer; these layers are tilted or curved"
        )
    return ImagesDepth(
        raw=scenes.layers,
        captures=scenes.captures,
        depth_map_um=scenes.depth_map_um,
        depth_um=scenes.depth_um,
    )


def write_dataset(
    folder: Path,
    plan: DatasetPlan,
    *,
    workers: int | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenSet:
    """Simulate the files `1.mat`, `2.mat` ... of a plan, and `dataset.json` beside them.

    `dataset.json` exists from the start, and names each file once it is complete.

    Args:
        folder: Folder of the data set, made if it does not exist.
        plan: Scenes to simulate, and how they are split into files.
        workers: Number of processes; None for one per core.
        overwrite: Whether a set that is there is replaced, as soon as the first new file is
            certain; until then, failure or a kill leave it. Other files are left alone.
        resume: Whether to continue an interrupted run of the same plan; complete files are kept.
        progress: Function called with the number of scenes done and their total.

    Returns:
        The record of the data set, and the names of the files made, kept and discarded.

    Raises:
        OutputExistsError: If a file exists, and neither `overwrite` nor `resume` is set.
        SceneError: If the plan cannot be simulated, or is not that of the set to continue.
        FociscopeError: If the disk refuses.

    Examples:
        >>> from pathlib import Path
        >>> from fociscope.simulation import DatasetPlan, write_dataset
        >>> done = write_dataset(Path("data"), DatasetPlan(files=1, samples=2), workers=1)
        >>> done.made, sorted(path.name for path in Path("data").iterdir())
        (('1.mat',), ['1.mat', 'dataset.json'])
    """
    folder = Path(folder)
    if workers is not None and workers < 1:
        raise SceneError(f"workers must be at least 1; got {workers}")
    _check_plan(plan)
    with locked_folder(folder):
        before = _mended(folder, plan)
        discarded = discard_leftovers([folder / name for name in _names(folder, plan)])
        record = DatasetRecord(versions=current_versions(plan.format), plan=plan)
        if resume and has_record(folder):
            there = read_record(folder)
            _check_same(folder, there, plan)
            for file in there.files:
                if file_state(folder, file) == "whole":
                    record = record.with_file(file)
        elif overwrite:
            before.take()
        else:
            _refuse_existing(folder, plan)
        kept = tuple(file.name for file in record.files)
        missing = [i for i in range(plan.files) if plan.file_name(i) not in kept]

        def moved(done: int) -> None:
            if progress is not None:
                progress(len(kept) * plan.samples + done, plan.files * plan.samples)

        try:
            record.write(folder, overwrite=resume)
            moved(0)
            with closing(_files(plan, missing, workers or available_cores(), moved)) as files:
                for index, data in files:
                    path = folder / plan.file_name(index)
                    write_images_depth(path, data, overwrite=resume, format=plan.format)
                    record = record.with_file(_describe(path, plan, index, data))
                    del data  # before the next file fills as much memory
                    record.write(folder, overwrite=True)
                    before.forget()
        except BaseException:
            with suppress(FociscopeError):
                before.restore()
            raise
    made = tuple(plan.file_name(index) for index in missing)
    return WrittenSet(record, made, kept, tuple(path.name for path in discarded))


def _names(folder: Path, plan: DatasetPlan) -> tuple[str, ...]:
    """Return the names of the set that is there and of the one to come, the record's first."""
    there: list[str] = []
    with suppress(FociscopeError):
        former = read_record(folder).plan
        numbers = {entry.name: entry.name.partition(".")[0] for entry in folder.iterdir()}
        there = [
            name
            for name, number in numbers.items()
            if number.isdecimal()
            and 1 <= int(number) <= former.files
            and former.file_name(int(number) - 1) == name
        ]
    planned = map(plan.file_name, range(plan.files))
    return tuple(dict.fromkeys((RECORD_NAME, *there, *planned)))


def _mended(folder: Path, plan: DatasetPlan) -> Backup:
    """Put in order what a killed run has left; return the place for what is overwritten now."""
    before = Backup(folder, _names(folder, plan))
    if not before.holds_something:
        return before
    files = 0
    with suppress(FociscopeError):
        files = len(read_record(folder).files)
    if files:
        before.forget()
    else:
        before.restore()
    return Backup(folder, _names(folder, plan))


def _settings(plan: DatasetPlan) -> dict[str, object]:
    """Return what `simulate` takes of a plan."""
    names = ("seed", "layers", "imager", "peak_snr_db", "min_separation_um", "specimen",
             "displacement_px")  # fmt: skip
    return {name: getattr(plan, name) for name in names}


def _check_plan(plan: DatasetPlan) -> None:
    """Simulate one scene, so that wrong settings show before anything is written."""
    with simulated([SceneJob(0, 1, _settings(plan))], workers=1) as scenes:
        next(scenes)


def _refuse_existing(folder: Path, plan: DatasetPlan) -> None:
    names = [RECORD_NAME, *(plan.file_name(index) for index in range(plan.files))]
    for path in (folder / name for name in names):
        if path.exists():
            is_begun = path.name == RECORD_NAME
            go_on = ", resume an interrupted set" if is_begun else ""
            raise OutputExistsError(
                f"{printable(path)}: exists already; choose another folder{go_on} or allow "
                "overwriting",
                fields=("resume", "overwrite") if is_begun else ("overwrite",),
            )


def _check_same(folder: Path, record: DatasetRecord, plan: DatasetPlan) -> None:
    """Refuse to go on with other settings or versions: the files would not fit together."""
    asked = {**plan.model_dump(mode="json"), **current_versions(plan.format)}
    there = {**record.plan.model_dump(mode="json"), **record.versions}
    for name in (*asked, *there):
        if asked.get(name) != there.get(name):
            found, wanted = (f"{values.get(name)!r:.200}" for values in (there, asked))
            raise SceneError(
                f"{printable(folder)}: cannot go on with this set: its {name} is {found}, now it "
                f"is {wanted}; ask for the same or start anew in another folder"
            )


def _files(
    plan: DatasetPlan, missing: list[int], workers: int, moved: Callable[[int], None]
) -> Generator[tuple[int, ImagesDepth]]:
    """Yield the number and the samples of one missing file after the other."""
    step = chunk_scenes(plan.imager)
    starts = range(0, plan.samples, step)
    jobs = [
        SceneJob(index * plan.samples + start, min(step, plan.samples - start), _settings(plan))
        for index in missing
        for start in starts
    ]
    if not jobs:
        return
    with simulated(jobs, workers) as chunks:
        for number, index in enumerate(missing):
            data = _empty(plan)
            for start in starts:
                scenes = next(chunks)
                _put(data, start, scenes)
                moved(number * plan.samples + start + len(scenes))
            yield index, data
            del data


def _empty(plan: DatasetPlan) -> ImagesDepth:
    """Return room for one file; MATLAB's formats are written in Fortran's order."""
    of_matlab = plan.format in (LayoutFormat.mat5, LayoutFormat.mat73)
    layers = (plan.samples, plan.layers, *plan.imager.frame_px)
    captures = (plan.samples, plan.imager.sensors, *plan.imager.frame_px)
    try:
        room = (
            np.empty(shape, np.float32, order="F" if of_matlab else "C")
            for shape in (captures, layers, layers, layers[:2])
        )
        return ImagesDepth(*room)
    except MemoryError:
        raise FociscopeError(
            f"{plan.samples} samples of one file need more memory than this machine has free; "
            "ask for fewer samples and more files"
        ) from None


def _put(data: ImagesDepth, start: int, scenes: Scenes) -> None:
    """Copy a chunk of scenes to its place."""
    chunk, place = images_depth(scenes), slice(start, start + len(scenes))
    for name in ("captures", "raw", "depth_map_um", "depth_um"):
        getattr(data, name)[place] = getattr(chunk, name)


def _describe(path: Path, plan: DatasetPlan, index: int, data: ImagesDepth) -> FileRecord:
    return FileRecord(
        name=path.name,
        samples=plan.samples,
        first_scene=index * plan.samples,
        bytes=total_bytes(path),
        sha256=sha256(path),
        statistics=Statistics.from_data(data),
    )
