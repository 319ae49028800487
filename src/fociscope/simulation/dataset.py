"""Data sets: many scenes in the published layout, generated on all cores.

The same plan gives the same bytes whatever the number of workers, and whether or not it was
interrupted: a scene depends on its own number alone, and a file is either whole or absent.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fociscope.errors import FociscopeError, OutputExistsError, SceneError
from fociscope.files.atomic import discard_leftovers, locked_folder
from fociscope.files.checksum import sha256, total_bytes
from fociscope.files.images_depth import ImagesDepth
from fociscope.files.images_depth_write import LayoutFormat, write_images_depth
from fociscope.files.limits import shown
from fociscope.simulation.dataset_check import file_state
from fociscope.simulation.dataset_record import (
    RECORD_NAME,
    DatasetPlan,
    DatasetRecord,
    FileRecord,
    Statistics,
    current_versions,
    read_record,
)
from fociscope.simulation.dataset_workers import Job, available_cores, simulated
from fociscope.simulation.frame import chunk_scenes
from fociscope.simulation.scene import Scenes

__all__ = ["WrittenSet", "images_depth", "write_dataset"]


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

    `dataset.json` is there from the start, and names each file once it is whole.

    Args:
        folder: where to; it is made where it is missing.
        plan: what to simulate.
        workers: processes; without it, one per core.
        overwrite: replace files of the same names.
        resume: go on where a run of the same plan was interrupted; files that are whole are kept.
        progress: called with the scenes done and their total.

    Raises:
        OutputExistsError: a file is there, and neither `overwrite` nor `resume` was asked for.
        SceneError: settings that make no scene, or not those of the set to go on with.
        FociscopeError: the disk refuses.
    """
    folder = Path(folder)
    if workers is not None and workers < 1:
        raise SceneError(f"workers must be at least 1; got {workers}")
    _check_plan(plan)
    going_on = resume and (folder / RECORD_NAME).exists()
    if going_on:
        _check_same(folder, read_record(folder), plan)
    elif not overwrite:
        _refuse_existing(folder, plan)
    with locked_folder(folder):
        targets = [folder / plan.file_name(index) for index in range(plan.files)]
        discarded = discard_leftovers([*targets, folder / RECORD_NAME])
        record = DatasetRecord(versions=current_versions(plan.format), plan=plan)
        if going_on:
            kept = tuple(f for f in read_record(folder).files if file_state(folder, f) == "whole")
            for file in kept:
                record = record.with_file(file)
        record.write(folder, overwrite=overwrite or resume)
        names = tuple(file.name for file in record.files)
        missing = [i for i in range(plan.files) if plan.file_name(i) not in names]
        total = plan.files * plan.samples

        def moved(done: int) -> None:
            if progress is not None:
                progress(len(names) * plan.samples + done, total)

        moved(0)
        with closing(_files(plan, missing, workers or available_cores(), moved)) as files:
            for index, data in files:
                path = folder / plan.file_name(index)
                write_images_depth(path, data, overwrite=overwrite or resume, format=plan.format)
                record = record.with_file(_describe(path, plan, index, data))
                del data  # before the next file fills as much memory
                record.write(folder, overwrite=True)
    made = tuple(plan.file_name(index) for index in missing)
    return WrittenSet(record, made, names, tuple(path.name for path in discarded))


def _settings(plan: DatasetPlan) -> dict[str, object]:
    """Return what `simulate` takes of a plan."""
    names = ("seed", "layers", "imager", "peak_snr_db", "min_separation_um", "specimen")
    return {name: getattr(plan, name) for name in names}


def _check_plan(plan: DatasetPlan) -> None:
    """Simulate one scene, so that wrong settings show before anything is written."""
    with simulated([Job(0, 1, _settings(plan))], workers=1) as scenes:
        next(scenes)


def _refuse_existing(folder: Path, plan: DatasetPlan) -> None:
    names = [RECORD_NAME, *(plan.file_name(index) for index in range(plan.files))]
    for path in (folder / name for name in names):
        if path.exists():
            go_on = ", go on with an interrupted set (--resume)" if path.name == RECORD_NAME else ""
            raise OutputExistsError(
                f"{shown(path)}: exists already; choose another folder{go_on} or allow "
                "overwriting (--overwrite, overwrite=True)."
            )


def _check_same(folder: Path, record: DatasetRecord, plan: DatasetPlan) -> None:
    """Refuse to go on with other settings or versions: the files would not fit together."""
    asked = {**plan.model_dump(mode="json"), **current_versions(plan.format)}
    there = {**record.plan.model_dump(mode="json"), **record.versions}
    for name in (*asked, *there):
        if asked.get(name) != there.get(name):
            found, wanted = (f"{values.get(name)!r:.200}" for values in (there, asked))
            raise SceneError(
                f"{shown(folder)}: cannot go on with this set: its {name} is {found}, now it is "
                f"{wanted}; ask for the same or start anew in another folder"
            )


def _files(
    plan: DatasetPlan, missing: list[int], workers: int, moved: Callable[[int], None]
) -> Generator[tuple[int, ImagesDepth]]:
    """Yield the number and the samples of one missing file after the other."""
    step = chunk_scenes(plan.imager)
    starts = range(0, plan.samples, step)
    jobs = [
        Job(index * plan.samples + start, min(step, plan.samples - start), _settings(plan))
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
        statistics=Statistics.of(data),
    )
