"""What is handed out of folders and stacks that are being written: all frames, whole, and once."""

from __future__ import annotations

import os
import sys
import time
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError, FociscopeError, FociscopeWarning
from fociscope.files.captures.reader import PageMeaning
from fociscope.reconstruction.preparation import Preparation
from fociscope.series import _growing_file as recording
from fociscope.series import _watched_files as watched_files
from fociscope.series._frames import CompleteFrame, SkippedFrame
from fociscope.series.watcher import Watcher, sensors_followed, watch_paths

FRAMES = np.arange(1, 11, dtype=np.uint16).reshape(5, 2, 1, 1) + np.zeros((1, 1, 12, 12), np.uint16)
"""(frame, sensor, y, x), each image of one value."""


@pytest.fixture(autouse=True)
def _given_up_soon(monkeypatch) -> None:
    monkeypatch.setattr(recording, "SETTLED_S", 0.02)
    monkeypatch.setattr(recording, "GIVEN_UP_S", 0.2)
    monkeypatch.setattr(recording, "TRIED_AGAIN_S", 0.02)
    monkeypatch.setattr(watched_files, "COMPARED_S", 0.02)


def following(
    *paths: Path, known: Iterable[str] = (), crop: object = None, pages: PageMeaning = "auto"
) -> Watcher:
    preparation = Preparation(crop=crop)
    return watch_paths(paths, sensors=2, known=set(known), preparation=preparation, pages=pages)


def polled(
    source: Watcher, *, most: int = 32, for_s: float = 0.4
) -> tuple[list[CompleteFrame], list[SkippedFrame]]:
    """Poll for a while."""
    arrived, skipped = [], []
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        came, given_up = source.poll(most)
        assert len(came) <= most
        arrived += came
        skipped += given_up
        time.sleep(0.005)
    return arrived, skipped


def first(source: Watcher, count: int = 1) -> list[CompleteFrame]:
    """Poll until so many captures have come, and no longer."""
    arrived: list[CompleteFrame] = []
    end = time.monotonic() + 20
    while len(arrived) < count and time.monotonic() < end:
        arrived += source.poll(32)[0]
        time.sleep(0.002)
    assert len(arrived) == count
    return arrived


def names(of: Iterable[CompleteFrame | SkippedFrame]) -> list[str]:
    return [one.name for one in of]


def values(arrived: Iterable[CompleteFrame]) -> list[list[int]]:
    """Return the value of each sensor's image of each capture."""
    return [[int(image[0, 0]) for image in one.captures] for one in arrived]


def append(path: Path, *images: np.ndarray) -> None:
    for image in images:
        tifffile.imwrite(path, image, append=True, contiguous=False, metadata=None)


def write_pair(folder: Path, frames: np.ndarray, name: str = "run") -> None:
    for side, images in zip("AB", frames.swapaxes(0, 1), strict=True):
        append(folder / f"{name}_{side}.tif", *images)


def test_all_frames_of_a_file_come_numbered(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "run1.tif", FRAMES)
    arrived, _ = polled(following(tmp_path))
    assert names(arrived) == [f"run1.tif#{n}" for n in range(1, 6)]
    assert values(arrived) == FRAMES[:, :, 0, 0].tolist()


def test_all_frames_of_a_pair_come_so_many_at_a_time(tmp_path) -> None:
    write_pair(tmp_path, FRAMES)
    source = following(tmp_path)
    arrived, _ = polled(source, most=2)
    assert names(arrived) == [f"run_A.tif#{n}" for n in range(1, 6)]
    assert values(arrived) == FRAMES[:, :, 0, 0].tolist()
    assert source.waiting == 0


def test_no_more_values_are_read_at_a_time_than_memory_allows(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(recording, "READ_VALUES", 2 * FRAMES[0].size)
    tifffile.imwrite(tmp_path / "run1.tif", FRAMES)
    source = following(tmp_path)
    at_once = set()
    arrived: list[CompleteFrame] = []
    while len(arrived) < len(FRAMES):
        came, _ = source.poll(32)
        at_once.add(len(came))
        arrived += came
    assert max(at_once) == 2
    assert values(arrived) == FRAMES[:, :, 0, 0].tolist()


def test_a_file_of_one_frame_keeps_its_name(tmp_path) -> None:
    write_pair(tmp_path, FRAMES[:1])
    assert names(polled(following(tmp_path))[0]) == ["run_A.tif"]


def test_another_run_takes_the_frames_of_a_file_that_are_not_done(tmp_path) -> None:
    write_pair(tmp_path, FRAMES)
    write_pair(tmp_path, FRAMES[:1], "single")
    known = ["run_A.tif#1", "run_A.tif#3", "run_A.tif#4", "single_A.tif"]
    arrived, _ = polled(following(tmp_path, known=known))
    assert names(arrived) == ["run_A.tif#2", "run_A.tif#5"]
    assert values(arrived) == FRAMES[[1, 4], :, 0, 0].tolist()


def test_a_pair_in_a_folder_that_grows_on_gives_its_later_frames_too(tmp_path) -> None:
    write_pair(tmp_path, FRAMES[:1])
    source = following(tmp_path)
    first, _ = polled(source, for_s=0.1)
    write_pair(tmp_path, FRAMES[1:3])
    later, _ = polled(source)
    assert names(first + later) == ["run_A.tif", "run_A.tif#2", "run_A.tif#3"]
    assert names(polled(following(tmp_path, known=names(first)))[0]) == names(later)


def test_a_frame_that_cannot_be_read_is_named_and_the_others_come(tmp_path) -> None:
    frames = FRAMES.astype(np.float32)
    frames[2, 1, 0, 0] = np.nan
    tifffile.imwrite(tmp_path / "run1.tif", frames)
    arrived, skipped = polled(following(tmp_path), for_s=0.6)
    assert names(arrived) == [f"run1.tif#{n}" for n in (1, 2, 4, 5)]
    assert names(skipped) == ["run1.tif#3"]
    assert "NaN" in skipped[0].why


def test_a_growing_stack_goes_on_behind_the_last_frame_that_was_done(tmp_path) -> None:
    append(tmp_path / "live.tif", *FRAMES.reshape(10, 12, 12))
    known = ["live.tif#1", "live.tif#3"]  # the second was left out
    arrived, _ = polled(following(tmp_path / "live.tif", known=known))
    assert names(arrived) == ["live.tif#4", "live.tif#5"]


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_names_that_are_no_text_are_known_again(tmp_path) -> None:
    for side, image in zip(b"AB", FRAMES[0], strict=True):
        name = os.fsdecode(b"\xff1_" + bytes([side]) + b".tif")
        append(tmp_path / "x.tif", image)
        (tmp_path / "x.tif").rename(tmp_path / name)
    arrived, _ = polled(following(tmp_path))
    assert names(arrived) == ["\\udcff1_A.tif"]
    assert polled(following(tmp_path, known=names(arrived))) == ([], [])


def test_a_folder_that_is_away_for_a_moment_is_waited_for(tmp_path) -> None:
    folder, away = tmp_path / "in", tmp_path / "away"
    folder.mkdir()
    source = following(folder)
    write_pair(folder, FRAMES[:1])
    assert len(polled(source, for_s=0.1)[0]) == 1
    folder.rename(away)
    assert polled(source, for_s=0.1) == ([], [])
    write_pair(away, FRAMES[1:2], "run2")
    away.rename(folder)
    assert names(polled(source)[0]) == ["run2_A.tif"]


def test_a_folder_that_stays_away_ends_the_watch_with_what_to_do(tmp_path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    source = following(folder)
    polled(source, for_s=0.05)
    folder.rmdir()
    with pytest.raises(FociscopeError, match=r"in: the folder could not be read .*resum"):
        polled(source)


def test_a_lone_last_page_waits_and_ends_nothing(tmp_path) -> None:
    pages = FRAMES.reshape(10, 12, 12)
    append(tmp_path / "live.tif", *pages[:5])
    source = following(tmp_path / "live.tif")
    arrived, _ = polled(source)  # for longer than what cannot be read is given up
    assert values(arrived) == FRAMES[:2, :, 0, 0].tolist()
    assert list(source.waiting_names) == ["live.tif#3"]
    append(tmp_path / "live.tif", pages[5])
    assert values(polled(source)[0]) == FRAMES[2:3, :, 0, 0].tolist()
    assert source.waiting == 0


def test_a_stack_of_one_page_so_far_waits(tmp_path) -> None:
    append(tmp_path / "live.tif", FRAMES[0, 0])
    source = following(tmp_path / "live.tif", crop=(0, 0, 4, 4))
    assert polled(source) == ([], [])
    append(tmp_path / "live.tif", FRAMES[0, 1])
    assert len(polled(source)[0]) == 1


def test_of_two_stacks_the_longer_waits(tmp_path) -> None:
    append(tmp_path / "a.tif", *FRAMES[:3, 0])
    append(tmp_path / "b.tif", *FRAMES[:2, 1])
    source = following(tmp_path / "a.tif", tmp_path / "b.tif")
    assert names(polled(source)[0]) == ["a.tif#1", "a.tif#2"]
    assert list(source.waiting_names) == ["a.tif#3"]


@pytest.mark.parametrize("cut", ["tags", "values"])
def test_the_frames_before_a_page_that_is_cut_off_come(tmp_path, cut) -> None:
    path = tmp_path / "live.tif"
    append(path, *FRAMES[:3].reshape(6, 12, 12))
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[5]
        end = page.offset + 1 if cut == "tags" else page.dataoffsets[0] + 5
    whole = path.read_bytes()
    path.write_bytes(whole[:end])
    source = following(path)
    assert names(polled(source)[0]) == ["live.tif#1", "live.tif#2"]
    assert list(source.waiting_names) == ["live.tif#3"]
    path.write_bytes(whole)
    assert names(polled(source)[0]) == ["live.tif#3"]


@pytest.mark.parametrize("so_far_bytes", [8, 300], ids=["header", "part of a page"])
def test_a_stack_whose_first_page_is_not_written_yet_waits(tmp_path, so_far_bytes) -> None:
    path = tmp_path / "live.tif"
    append(path, *FRAMES[0])
    path.write_bytes(path.read_bytes()[:so_far_bytes])
    source = following(path)
    assert polled(source) == ([], [])
    path.unlink()
    append(path, *FRAMES[0])
    assert len(polled(source)[0]) == 1


def test_a_damaged_frame_within_a_stack_is_left_out_when_others_follow(tmp_path) -> None:
    frames = FRAMES.astype(np.float32)
    frames[1, 0, 0, 0] = np.inf
    append(tmp_path / "live.tif", *frames.reshape(10, 12, 12))
    arrived, skipped = polled(following(tmp_path / "live.tif"), for_s=0.6)
    assert names(arrived) == [f"live.tif#{n}" for n in (1, 3, 4, 5)]
    assert names(skipped) == ["live.tif#2"]


def test_a_stack_that_is_no_image_ends_the_watch_with_what_to_do(tmp_path) -> None:
    (tmp_path / "live.tif").write_text("no image, and longer than a header")
    with pytest.raises(FileFormatError, match=r"live.tif: a text file.* not grown .*resum"):
        polled(following(tmp_path / "live.tif"))


def test_what_never_becomes_whole_is_named(tmp_path) -> None:
    append(tmp_path / "2_A.tif", FRAMES[0, 0])
    write_pair(tmp_path, FRAMES[:1], "1")
    source = following(tmp_path)
    assert len(polled(source)[0]) == 1
    assert source.waiting == 1
    assert list(source.waiting_names) == ["2_A.tif"]


def test_a_file_that_was_renamed_when_it_was_whole_does_not_wait(tmp_path) -> None:
    append(tmp_path / "part of 1_A.tif", FRAMES[0, 0])
    append(tmp_path / "1_B.tif", FRAMES[0, 1])
    source = following(tmp_path)
    polled(source, for_s=0.1)
    (tmp_path / "part of 1_A.tif").rename(tmp_path / "1_A.tif")
    assert names(polled(source)[0]) == ["1_A.tif"]
    assert source.waiting == 0


def test_pages_in_a_folder_are_what_the_user_says(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "run.tif", FRAMES.reshape(10, 12, 12), metadata=None)
    arrived, skipped = polled(following(tmp_path, pages="sensors"))
    assert (len(arrived), skipped) == (5, [])
    assert values(arrived) == [[2 * n + 1, 2 * n + 2] for n in range(5)]


def test_names_in_two_folders_may_differ_in_case(tmp_path) -> None:
    for folder, name, frame in (("a", "IM0.tif", FRAMES[0, 0]), ("b", "im0.tif", FRAMES[0, 1])):
        (tmp_path / folder).mkdir()
        tifffile.imwrite(tmp_path / folder / name, frame)
    arrived, _ = polled(following(tmp_path / "a", tmp_path / "b"))
    assert names(arrived) == ["IM0.tif"]


def test_a_stack_that_was_allocated_beforehand_gives_frames_as_they_are_filled(tmp_path) -> None:
    path = tmp_path / "live.ome.tif"
    stack = tifffile.memmap(
        path, shape=FRAMES.shape, dtype=np.uint16, ome=True, metadata={"axes": "TCYX"},
        photometric="minisblack",
    )  # fmt: skip
    stack.flush()
    source = following(path)
    assert polled(source) == ([], [])  # and nothing is given up
    assert source.waiting == len(FRAMES)
    for number in (0, 2, 1):  # one of them late
        stack[number] = FRAMES[number]
        stack.flush()
        arrived, skipped = polled(source, for_s=0.1)
        assert names(arrived) == [f"live.ome.tif#{number + 1}"]
        assert values(arrived) == FRAMES[number : number + 1, :, 0, 0].tolist()
        assert set(names(skipped)) <= {"live.ome.tif#2"}  # while it is passed over
    assert list(source.waiting_names) == ["live.ome.tif#4", "live.ome.tif#5"]


def test_a_frame_that_is_half_filled_is_waited_for_and_not_for_ever(tmp_path) -> None:
    path = tmp_path / "live.ome.tif"
    stack = tifffile.memmap(
        path, shape=FRAMES.shape, dtype=np.uint16, ome=True, metadata={"axes": "TCYX"},
        photometric="minisblack",
    )  # fmt: skip
    stack[0, :, :6] = 1
    stack.flush()
    source = following(path)
    assert polled(source, for_s=0.05) == ([], [])
    stack[0] = 2
    stack.flush()
    arrived, _ = polled(source, for_s=0.1)
    assert [float(one.captures.min()) for one in arrived] == [2]
    stack[1, :, :6] = 3
    stack.flush()
    arrived, _ = polled(source)
    assert names(arrived) == ["live.ome.tif#2"]  # it stays so


def test_an_image_of_zeros_in_a_folder_is_named_and_taken_when_it_is_filled(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "1.tif", np.zeros_like(FRAMES[0]), photometric="minisblack")
    source = following(tmp_path)
    arrived, skipped = polled(source)
    assert (arrived, names(skipped)) == ([], ["1.tif"])
    assert "no light" in skipped[0].why
    tifffile.imwrite(tmp_path / "1.tif", FRAMES[1], photometric="minisblack")
    arrived, skipped = polled(source)
    assert values(arrived) == FRAMES[1:2, :, 0, 0].tolist()
    assert skipped == []


def test_a_name_that_is_written_again_is_said(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "run1.tif", FRAMES[0])
    source = following(tmp_path)
    arrived, _ = polled(source)
    (tmp_path / "run1.tif").unlink()
    assert source.poll(32) == ([], [])
    tifffile.imwrite(tmp_path / "run1.tif", FRAMES[1])
    came, skipped = polled(source)
    assert (names(arrived), came, names(skipped)) == (["run1.tif"], [], ["run1.tif"])
    assert "written again after it was taken" in skipped[0].why


def replace_by(path: Path, *images: np.ndarray) -> None:
    """Put another stack in the place of one, as atomic writers do."""
    append(path.with_name("new.part"), *images)
    path.with_name("new.part").replace(path)


@pytest.mark.parametrize("after_s", [0.0, 0.5], ids=["soon", "later"])
@pytest.mark.parametrize("in_place", [False, True])
def test_a_capture_that_is_written_again_is_said_once(tmp_path, in_place, after_s) -> None:
    path = tmp_path / "run1.tif"
    append(path, *FRAMES[0])
    source = following(tmp_path, pages="sensors")
    arrived = first(source)
    polled(source, for_s=after_s)
    if in_place:
        path.unlink()
        append(path, *FRAMES[1])
    else:
        replace_by(path, *FRAMES[1])
    came, skipped = polled(source, for_s=0.6)
    assert (names(arrived), came, names(skipped)) == (["run1.tif"], [], ["run1.tif"])
    assert "written again after it was taken" in skipped[0].why
    assert source.last() == []


@pytest.mark.parametrize("after_s", [0.0, 0.5], ids=["soon", "later"])
def test_a_file_that_is_only_touched_or_copied_over_itself_is_not_said(tmp_path, after_s) -> None:
    path = tmp_path / "run1.tif"
    append(path, *FRAMES[0])
    source = following(tmp_path, pages="sensors")
    first(source)
    polled(source, for_s=after_s)
    path.touch()
    polled(source, for_s=0.1)
    replace_by(path, *FRAMES[0])
    assert polled(source) == ([], [])
    assert source.last() == []


def test_what_was_written_again_at_the_end_is_said_then(tmp_path) -> None:
    append(tmp_path / "run1.tif", *FRAMES[0])
    source = following(tmp_path, pages="sensors")
    first(source)
    polled(source)
    replace_by(tmp_path / "run1.tif", *FRAMES[1])
    assert names(source.last()) == ["run1.tif"]


@pytest.mark.parametrize("index", [0, 1], ids=["another", "one more"])
def test_the_last_look_takes_nothing(tmp_path, index) -> None:
    path = tmp_path / "run1.tif"
    append(path, *FRAMES[0])
    source = following(tmp_path, pages="sensors")
    first(source)
    if index:
        append(path, *FRAMES[1])
        assert source.last() == []
        assert values(polled(source)[0]) == FRAMES[1:2, :, 0, 0].tolist()
    else:
        replace_by(path, *FRAMES[1])
        assert names(source.last()) == ["run1.tif"]


def test_a_file_that_is_removed_before_it_was_taken_is_said(tmp_path) -> None:
    append(tmp_path / "2_A.tif", FRAMES[0, 0])
    source = following(tmp_path)
    polled(source, for_s=0.05)
    (tmp_path / "2_A.tif").unlink()
    arrived, skipped = polled(source)
    assert (arrived, names(skipped)) == ([], ["2_A.tif"])
    assert "removed before" in skipped[0].why


def test_a_file_that_is_removed_after_it_was_taken_is_no_loss(tmp_path) -> None:
    write_pair(tmp_path, FRAMES[:1], "1")
    source = following(tmp_path)
    first(source)
    for side in "AB":
        (tmp_path / f"1_{side}.tif").unlink()
    assert polled(source) == ([], [])
    assert source.last() == []


def test_a_file_that_could_not_be_read_is_taken_when_it_is_mended(tmp_path) -> None:
    append(tmp_path / "run1.tif", *FRAMES[0])
    whole = (tmp_path / "run1.tif").read_bytes()
    (tmp_path / "run1.tif").write_bytes(whole[:100])
    source = following(tmp_path, pages="sensors")
    arrived, skipped = polled(source)
    assert (arrived, names(skipped)) == ([], ["run1.tif"])
    (tmp_path / "run1.tif").write_bytes(whole)
    assert values(polled(source)[0]) == FRAMES[:1, :, 0, 0].tolist()


@pytest.mark.parametrize("count", [2, 5])
def test_a_stack_in_the_place_of_another_gives_all_its_frames(tmp_path, count) -> None:
    path = tmp_path / "live.tif"
    append(path, *FRAMES[:3].reshape(6, 12, 12))
    source = following(path)
    first(source, 3)
    with pytest.warns(FociscopeWarning, match=r"after 3 frame.* live.tif \(2\)#1"):
        replace_by(path, *(FRAMES[::-1][:count]).reshape(-1, 12, 12))
        arrived, skipped = polled(source)
    assert names(arrived) == [f"live.tif (2)#{n}" for n in range(1, count + 1)]
    assert values(arrived) == FRAMES[::-1][:count, :, 0, 0].tolist()
    assert skipped == []


def test_frames_that_a_stack_took_with_it_are_said(tmp_path) -> None:
    path = tmp_path / "live.tif"
    append(path, *FRAMES.reshape(10, 12, 12)[:5])
    source = following(path)
    first(source, 2)
    with pytest.warns(FociscopeWarning, match="another stack"):
        replace_by(path, *FRAMES[3])
        arrived, skipped = polled(source)
    assert names(skipped) == ["live.tif#3"]
    assert values(arrived) == FRAMES[3:4, :, 0, 0].tolist()


def test_a_stack_that_is_written_anew_with_the_same_frames_goes_on(tmp_path) -> None:
    path = tmp_path / "live.tif"
    append(path, *FRAMES[:3].reshape(6, 12, 12))
    source = following(path)
    first(source, 3)
    replace_by(path, *FRAMES.reshape(10, 12, 12))
    arrived, skipped = polled(source)
    assert (names(arrived), skipped) == (["live.tif#4", "live.tif#5"], [])


def test_a_second_stack_is_gone_on_with_and_a_third_is_found_shorter(tmp_path) -> None:
    path = tmp_path / "live.tif"
    known = ["live.tif#1", "live.tif#2", "live.tif#3", "live.tif (2)#1", "live.tif (2)#2"]
    append(path, *FRAMES[:3].reshape(6, 12, 12))
    assert names(polled(following(path, known=known))[0]) == ["live.tif (2)#3"]
    path.unlink()
    append(path, *FRAMES[3])
    with pytest.warns(FociscopeWarning, match="another stack"):
        assert names(polled(following(path, known=known))[0]) == ["live.tif (3)#1"]


def test_a_stack_is_never_paired_with_the_one_before_its_partner(tmp_path) -> None:
    write_pair(tmp_path, FRAMES[:2], "live")
    paths = tmp_path / "live_A.tif", tmp_path / "live_B.tif"
    source = following(*paths)
    first(source, 2)
    replace_by(paths[0], *FRAMES[2:, 0])
    arrived, skipped = polled(source)
    assert (arrived, names(skipped)) == ([], ["live_A.tif"])
    with pytest.warns(FociscopeWarning, match="another stack"):
        replace_by(paths[1], *FRAMES[2:, 1])
        arrived, _ = polled(source)
    assert values(arrived) == FRAMES[2:, :, 0, 0].tolist()


def test_pixels_that_come_after_a_frame_was_taken_half_empty_are_said(tmp_path) -> None:
    path = tmp_path / "live.ome.tif"
    stack = tifffile.memmap(
        path, shape=FRAMES.shape, dtype=np.uint16, ome=True, metadata={"axes": "TCYX"},
        photometric="minisblack",
    )  # fmt: skip
    stack[0, :, :6] = 1
    stack[1] = 2
    stack.flush()
    source = following(path)
    arrived, _ = polled(source)
    assert sorted(names(arrived)) == ["live.ome.tif#1", "live.ome.tif#2"]
    stack[0] = 1
    stack.flush()
    arrived, skipped = polled(source)
    assert (arrived, names(skipped)) == ([], ["live.ome.tif#1"])
    assert "half empty" in skipped[0].why


def write_numbered(folder: Path, frame: int, *cameras: int) -> None:
    for camera in cameras:
        append(folder / f"cam{camera}_{frame:04d}.tif", FRAMES[frame, camera - 1])


def test_numbered_cameras_are_pairs_and_that_is_said(tmp_path) -> None:
    write_numbered(tmp_path, 0, 2)
    source = following(tmp_path)
    assert polled(source, for_s=0.1) == ([], [])
    assert source.waiting == 1
    write_numbered(tmp_path, 0, 1)
    write_numbered(tmp_path, 1, 2, 1)
    with pytest.warns(FociscopeWarning, match="'cam1' is taken as sensor A and 'cam2' as sensor B"):
        arrived, skipped = polled(source)
    assert (names(arrived), skipped) == (["cam1_0000.tif", "cam1_0001.tif"], [])
    assert values(arrived) == FRAMES[:2, :, 0, 0].tolist()


def test_another_run_knows_captures_of_numbered_cameras(tmp_path) -> None:
    write_numbered(tmp_path, 0, 1, 2)
    write_numbered(tmp_path, 1, 1, 2)
    with pytest.warns(FociscopeWarning, match="cam1"):
        arrived, _ = polled(following(tmp_path, known=["cam1_0000.tif"]))
    assert names(arrived) == ["cam1_0001.tif"]


def test_a_numbered_file_of_both_sensors_is_a_capture(tmp_path) -> None:
    append(tmp_path / "cam1_0001.tif", *FRAMES[0])
    arrived, _ = polled(following(tmp_path, pages="sensors"))
    assert values(arrived) == FRAMES[:1, :, 0, 0].tolist()


def test_numbered_cameras_say_how_many_sensors_there_are(tmp_path) -> None:
    write_numbered(tmp_path, 0, 1)
    assert sensors_followed([tmp_path]) is None  # a partner may come
    write_numbered(tmp_path, 0, 2)
    assert sensors_followed([tmp_path]) == 2
    (tmp_path / "cam2_0000.tif").unlink()
    time.sleep(recording.GIVEN_UP_S)
    assert sensors_followed([tmp_path]) == 1


def test_names_of_left_and_right_are_not_taken_for_one_sensor_in_silence(tmp_path) -> None:
    for frame in range(2):
        for side, image in zip(("left", "right"), FRAMES[frame], strict=True):
            append(tmp_path / f"{frame}_{side}.tif", image)
    source = watch_paths([tmp_path], sensors=1, known=set(), preparation=Preparation())
    with pytest.warns(FociscopeWarning, match="'left' and 'right', which may be two sensors"):
        arrived, _ = polled(source)
    assert len(arrived) == 4


def test_very_many_files_cost_little_memory(tmp_path) -> None:
    folder = watched_files.WatchedFolder(tmp_path)
    tracemalloc.start()
    for n in range(20_000):
        folder._done.put(n * 7919, n, n)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 20_000 * 30
    assert folder._done.get(7919 * 5) == (5, 5)
    assert folder._done.get(7919 * 5 + 1) is None
