"""A visit: what one visitor has, and that it ends."""

from __future__ import annotations

import asyncio
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from fociscope.app import server
from fociscope.app import session as session_module
from fociscope.app.capture_input import from_upload, shipped_example
from fociscope.app.jobs import LatestOnly
from fociscope.app.session import Session
from fociscope.app.uploads import save_files
from fociscope.errors import FociscopeError
from fociscope.imager import Imager
from fociscope.networks import find_model
from fociscope.reconstruction import Model, Preparation
from fociscope.results import Reconstruction
from fociscope.workflows import ReconstructionOptions, reconstruct_captures


def test_a_visit_keeps_the_old_map_when_a_capture_cannot_be_reconstructed(tmp_path: Path) -> None:
    session, example = Session(tmp_path), shipped_example()
    asyncio.run(session.reconstruct(example))
    with pytest.raises(FociscopeError, match="the same value in every pixel"):
        asyncio.run(session.reconstruct(replace(example, frames=np.ones_like(example.frames))))

    assert (session.number, session.capture_input) == (1, example)


def test_the_threshold_moves_the_mask(tmp_path: Path) -> None:
    session = Session(tmp_path)
    asyncio.run(session.reconstruct(shipped_example()))
    usual = session.mask.sum()
    session.threshold = 0.9

    assert 0 < session.mask.sum() < usual
    assert session.scores is not None


def test_a_focus_that_is_pointed_at_has_its_own_pixels(tmp_path: Path) -> None:
    session = Session(tmp_path)
    asyncio.run(session.reconstruct(shipped_example()))
    session.pointed_at = focus = session.foci[-1]
    pixels = session.focus_pixels

    assert pixels is not None
    assert pixels.sum() * 55.0**2 == pytest.approx(focus.area_um2)
    assert pixels[focus.layer].any()


def _files(folder: Path, **images: NDArray[np.float32]) -> list[Path]:
    paths = []
    for name, image in images.items():
        paths.append(folder / f"{name}.tif")
        tifffile.imwrite(paths[-1], image, photometric="minisblack")
    return paths


def test_a_visitors_options_give_the_map_that_the_library_gives(tmp_path: Path) -> None:
    a, b = shipped_example().frames[0]
    dark = np.full_like(a, 100.0)
    pair = _files(tmp_path, sensor_a=a + 100, sensor_b=np.flip(b + 100, -1))
    chosen = {
        "imager": Imager.reference().with_(gap_um=900.0),
        "dark": _files(tmp_path, dark_a=dark, dark_b=dark),
        "preparation": Preparation(flip_b="x", crop=(2, 3, 40, 44)),
        "layers": 3,
    }
    session = Session(tmp_path / "visits")
    asyncio.run(session.change_chip(**chosen))
    asyncio.run(session.reconstruct(from_upload(pair)))
    expected = reconstruct_captures(pair, ReconstructionOptions(**chosen))

    assert session.result is not None
    assert session.result.probability.shape == (3, 40, 44)
    np.testing.assert_array_equal(session.result.probability, expected.probability)
    np.testing.assert_array_equal(session.result.depth_um, expected.depth_um)


def test_the_chips_frames_are_read_once_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    load = session_module.load_correction_for

    def counted(options: ReconstructionOptions, *, sensors: int) -> object:
        read.extend(options.chip_files[0])
        return load(options, sensors=sensors)

    monkeypatch.setattr(session_module, "load_correction_for", counted)
    a, b = shipped_example().frames[0]
    pair = _files(tmp_path, sensor_a=np.stack([a] * 3), sensor_b=np.stack([b] * 3))
    (dark,) = _files(tmp_path, dark=np.zeros((51, 51), np.float32))
    session = Session(tmp_path / "visits")
    asyncio.run(session.change_chip(dark=(dark,)))
    asyncio.run(session.reconstruct(from_upload(pair)))
    asyncio.run(session.rerun(frame=1))

    assert read == [dark]
    tifffile.imwrite(dark, np.ones((2, 51, 51), np.float32), photometric="minisblack")
    asyncio.run(session.rerun(frame=2))
    assert read == [dark, dark]


def test_each_frame_of_a_series_is_reconstructed_once_for_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    reconstruct = Model.reconstruct

    def counted(self: Model, captures: NDArray[np.float32], **options: object) -> Reconstruction:
        done.append(len(captures) if captures.ndim == 4 else 1)
        return reconstruct(self, captures, **options)

    monkeypatch.setattr(Model, "reconstruct", counted)
    example = shipped_example()
    series = replace(example, frames=np.repeat(example.frames, 3, axis=0), truths=())
    session = Session(tmp_path)
    asyncio.run(session.reconstruct(series))

    async def trace() -> None:
        async for _ in session.trace_all():
            pass

    asyncio.run(trace())
    assert done == [1, 2]
    assert sorted(session.traces) == [0, 1, 2]
    np.testing.assert_allclose(session.traces[2].depth, session.traces[0].depth, rtol=1e-4)


def test_options_that_cannot_be_met_change_nothing(tmp_path: Path) -> None:
    pair = _files(tmp_path, a=shipped_example().frames[0, 0], b=shipped_example().frames[0, 1])
    session = Session(tmp_path / "visits")
    asyncio.run(session.reconstruct(from_upload(pair)))
    before = session.options
    (small,) = _files(tmp_path, small=np.ones((4, 4), np.float32))
    with pytest.raises(FociscopeError, match="the dark frame has the shape"):
        asyncio.run(session.change_chip(dark=(small,)))

    assert (session.options, session.number) == (before, 1)


def test_what_is_said_of_a_chip_waits_for_files(tmp_path: Path) -> None:
    session = Session(tmp_path)
    asyncio.run(session.reconstruct(shipped_example()))

    assert not asyncio.run(session.change_chip(preparation=Preparation(flip_b="x")))
    assert session.number == 1
    assert session.options.preparation.flip_b == "x"


def test_a_visitors_own_model_is_offered_for_captures_that_it_takes(tmp_path: Path) -> None:
    own = tmp_path / "mine.safetensors"
    own.write_bytes(find_model("layers-a").read_bytes())
    session = Session(tmp_path / "visits")
    name = session.add_model(own)

    assert (name in session.models(1), name in session.models(2)) == (True, False)
    assert session.named_model(name) == own
    alone = replace(shipped_example(), frames=shipped_example().frames[:, :1])
    asyncio.run(session.reconstruct(alone))
    asyncio.run(session.rerun(model=own, layers=1))
    assert session.model == "mine.safetensors"
    assert session.result is not None
    assert session.result.depth_um.shape == (1,)


def test_the_folder_of_a_visit_goes_with_it(tmp_path: Path) -> None:
    session = Session(tmp_path)
    assert list(tmp_path.iterdir()) == []  # none before there is something to keep
    (session.folder / "a.tif").write_bytes(b"cells")
    session.close()

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FociscopeError, match="this visit has ended"):
        _ = session.folder


def test_files_that_are_sent_at_once_have_folders_of_their_own(tmp_path: Path) -> None:
    class Sent:
        name = "capture.tif"

        def __init__(self, content: bytes) -> None:
            self.content = content

        async def save(self, path: str | Path) -> None:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            await asyncio.sleep(0.01)
            Path(path).write_bytes(self.content)

    session = Session(tmp_path)

    async def drops() -> list[list[Path]]:
        both = (save_files([Sent(c)], session.new_folder("drop")) for c in (b"one", b"other"))
        return await asyncio.gather(*both)

    (one,), (other,) = asyncio.run(drops())
    assert (one.read_bytes(), other.read_bytes()) == (b"one", b"other")


def test_wishes_that_come_while_it_works_become_one_more_run() -> None:
    done: list[int] = []
    wish = 0

    async def work() -> None:
        at_start = wish
        await asyncio.sleep(0.01)
        done.append(at_start)

    async def several() -> None:
        nonlocal wish
        latest = LatestOnly(work)
        running = []
        for number in range(5):
            wish = number
            running.append(asyncio.ensure_future(latest()))
            await asyncio.sleep(0)
        await asyncio.gather(*running)

    asyncio.run(several())
    assert done == [0, 4]


def test_a_missing_extra_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "find_spec", lambda name: None)
    with pytest.raises(FociscopeError, match=r"pip install '\.\[app\]'"):
        server.serve(0)
    assert importlib.util.find_spec("fociscope") is not None
