"""An imager with a measured PSF: its file, and the one beside it that holds the kernels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from fociscope.errors import ImagerError, OutputExistsError
from fociscope.files.images.reader import read_image
from fociscope.imager import AngleSelectivePsf, Imager, LayerProjector, MeasuredPsf

DEPTHS_UM = [0.0, 100.5, 1000.0]


def imager(seed: int = 0, **fields: Any) -> Imager:
    stack = np.random.default_rng(seed).random((3, 5, 5)) / 50
    psf = MeasuredPsf.from_stack(stack, DEPTHS_UM, 54.3, base_blur_um=2.5, **fields)
    return Imager(name=f"chip {seed}", psf=psf)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_toml_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "chip.toml"
    imager().to_toml(path)
    again = Imager.from_toml(path)
    assert again == imager()
    assert hash(again) == hash(imager())
    assert again != imager(seed=1)
    assert names(tmp_path) == ["chip.psf.ome.tif", "chip.toml"]
    assert isinstance(again.psf, MeasuredPsf)
    assert again.psf.file == "chip.psf.ome.tif"
    assert "stack" not in path.read_text()


def test_the_kernels_open_anywhere(tmp_path: Path) -> None:
    """As an OME-TIFF with pixel size and depths."""
    imager().to_toml(tmp_path / "chip.toml")
    with tifffile.TiffFile(tmp_path / "chip.psf.ome.tif") as file:
        assert file.is_ome
        assert 'PhysicalSizeX="54.3"' in file.ome_metadata
        assert 'PositionZ="100.5"' in file.ome_metadata
    psf = imager().psf
    assert isinstance(psf, MeasuredPsf)
    kernels = read_image(tmp_path / "chip.psf.ome.tif")
    np.testing.assert_array_equal(kernels, psf.stack.astype(np.float32))


def test_what_is_read_is_written_again_and_is_the_same(tmp_path: Path) -> None:
    imager().to_toml(tmp_path / "one.toml")
    Imager.from_toml(tmp_path / "one.toml").to_toml(tmp_path / "two.toml")
    one, two = (tmp_path / f"{n}.psf.ome.tif" for n in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert Imager.from_toml(tmp_path / "two.toml") == imager()


def test_the_files_are_found_from_any_folder_and_after_a_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    imager().to_toml("chip.toml")
    assert Imager.from_toml("chip.toml") == imager()
    monkeypatch.chdir(tmp_path)
    assert Imager.from_toml("here/chip.toml") == imager()
    (tmp_path / "here").rename(tmp_path / "there")
    assert Imager.from_toml(Path("there/chip.toml")) == imager()
    assert Imager.from_toml(tmp_path / "there" / "chip.toml") == imager()


def test_kernels_may_come_from_an_array_file(tmp_path: Path) -> None:
    psf = imager().psf
    assert isinstance(psf, MeasuredPsf)
    np.save(tmp_path / "mine.npy", psf.stack)
    (tmp_path / "chip.toml").write_text(
        "[psf]\nkind = 'measured'\nfile = 'mine.npy'\npixel_pitch_um = 54.3\n"
        "depth_um = [0, 100.5, 1000]\nbase_blur_um = 2.5\n"
    )
    assert Imager.from_toml(tmp_path / "chip.toml").psf == psf


def test_json_round_trip() -> None:
    """Models and data sets store imagers so, kernels and all."""
    again = Imager.model_validate_json(imager().model_dump_json())
    assert again == imager()
    assert hash(again) == hash(imager())
    assert Imager.model_validate(json.loads(json.dumps(imager().model_dump(mode="json")))) == again
    layers, z = np.random.default_rng(2).random((2, 9, 9)), np.array([300.0, 800.0])
    np.testing.assert_array_equal(
        LayerProjector(again).A(layers, z), LayerProjector(imager()).A(layers, z)
    )


def test_json_of_what_came_from_a_file_needs_no_file(tmp_path: Path) -> None:
    imager().to_toml(tmp_path / "chip.toml")
    content = Imager.from_toml(tmp_path / "chip.toml").model_dump_json()
    (tmp_path / "chip.psf.ome.tif").unlink()
    assert Imager.model_validate_json(content) == imager()


@pytest.mark.parametrize("there", ["chip.toml", "chip.psf.ome.tif"])
def test_neither_file_is_replaced_unless_asked(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(OutputExistsError, match=there):
        imager().to_toml(tmp_path / "chip.toml")
    assert names(tmp_path) == [there]
    assert (tmp_path / there).read_text() == "mine"
    imager().to_toml(tmp_path / "chip.toml", overwrite=True)
    assert Imager.from_toml(tmp_path / "chip.toml") == imager()


def test_a_new_measurement_replaces_both(tmp_path: Path) -> None:
    path = tmp_path / "chip.toml"
    imager().to_toml(path)
    imager(seed=1).to_toml(path, overwrite=True)
    assert Imager.from_toml(path) == imager(seed=1)
    assert names(tmp_path) == ["chip.psf.ome.tif", "chip.toml"]


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fociscope.imager.geometry.tomli_w.dumps", fails)
    path = tmp_path / "new" / "chip.toml"
    with pytest.raises(KeyboardInterrupt):
        imager().to_toml(path)
    assert not path.exists()
    assert [entry for entry in tmp_path.rglob("*") if entry.is_file()] == []


def forget_the_checksum(path: Path) -> None:
    """Leave an imager's file as earlier versions wrote it."""
    lines = path.read_text().splitlines()
    assert any(line.startswith("file_sha256 = ") for line in lines)
    path.write_text("\n".join(line for line in lines if not line.startswith("file_sha256")))


def test_kernels_of_another_imager_are_refused(tmp_path: Path) -> None:
    imager().to_toml(tmp_path / "chip.toml")
    imager(seed=1).to_toml(tmp_path / "other.toml")
    (tmp_path / "other.psf.ome.tif").replace(tmp_path / "chip.psf.ome.tif")
    with pytest.raises(ImagerError, match=r"other kernels .* calibrate again, or remove"):
        Imager.from_toml(tmp_path / "chip.toml")
    forget_the_checksum(tmp_path / "chip.toml")
    assert Imager.from_toml(tmp_path / "chip.toml").psf == imager(seed=1).psf


def damage(tmp_path: Path, what: str) -> None:
    file = tmp_path / "chip.psf.ome.tif"
    if what == "missing":
        file.unlink()
    elif what == "cut short":
        file.write_bytes(file.read_bytes()[:600])
    elif what == "text":
        file.write_text("a stack of kernels")
    elif what == "a folder":
        file.unlink()
        file.mkdir()
    else:
        shape = {"even": (3, 4, 4), "one plane": (5, 5), "too few": (2, 5, 5), "uneven": (3, 5, 7)}
        light = {"dark": 0.0, "bright": 1.0, "not a number": np.nan}.get(what, 0.01)
        stack = np.full(shape.get(what, (3, 5, 5)), light, np.float32)
        tifffile.imwrite(file, stack, photometric="minisblack")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("missing", ["chip.psf.ome.tif"]),
        ("cut short", ["chip.psf.ome.tif"]),
        ("text", ["chip.psf.ome.tif", "text"]),
        ("a folder", ["chip.psf.ome.tif", "folder"]),
        ("even", ["k odd", "(3, 4, 4)"]),
        ("uneven", ["(3, 5, 7)"]),
        ("one plane", ["(5, 5)"]),
        ("too few", ["2 kernels", "3 depths"]),
        ("dark", ["above 0"]),
        ("bright", ["at most 1"]),
        ("not a number", ["finite"]),
    ],
)
def test_kernels_that_are_not_sound_are_named_in_one_line(
    tmp_path: Path, what: str, words: list[str]
) -> None:
    imager().to_toml(tmp_path / "chip.toml")
    forget_the_checksum(tmp_path / "chip.toml")
    damage(tmp_path, what)
    with pytest.raises(ImagerError) as caught:
        Imager.from_toml(tmp_path / "chip.toml")
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    for word in ("chip.toml", "psf", *words):
        assert word in message


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("file = 'x.tif'\n", ["x.tif"]),
        ("file = 3\n", ["psf"]),
        ("file = ''\n", ["psf"]),
        ("file = 'a\\u0000b.tif'\n", ["psf"]),
        ("file = 'chip.toml'\n", ["chip.toml"]),
        ("", ["stack", "required"]),
        ("stack = [[[1.0]], [[1.0, 2.0]]]\n", ["stack"]),
        ("stack = 'chip.tif'\n", ["stack"]),
    ],
)
def test_a_file_that_names_no_kernels_is_refused_in_one_line(
    tmp_path: Path, lines: str, words: list[str]
) -> None:
    path = tmp_path / "chip.toml"
    path.write_text(
        f"[psf]\nkind = 'measured'\npixel_pitch_um = 55\ndepth_um = [0, 1000]\n{lines}".replace(
            "'a\\u0000b.tif'", '"a\\u0000b.tif"'
        )
    )
    with pytest.raises(ImagerError) as caught:
        Imager.from_toml(path)
    for word in ("chip.toml", *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_imagers_differ_by_their_kernels() -> None:
    one, same, other = imager(), imager(), imager(seed=1).with_(name="chip 0")
    assert one == same
    assert len({one, same, other}) == 2
    assert one != one.with_(psf=AngleSelectivePsf())
    assert one.with_(gap_um=900.0).psf == one.psf


@pytest.mark.parametrize("name", ["../kernels.tif", "{folder}/kernels.tif", "a/../../kernels.tif"])
def test_kernels_that_lie_elsewhere_are_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "chips").mkdir()
    imager().to_toml(tmp_path / "kernels.toml")
    (tmp_path / "kernels.psf.ome.tif").rename(tmp_path / "kernels.tif")
    text = (tmp_path / "kernels.toml").read_text()
    named = text.replace("kernels.psf.ome.tif", name.format(folder=tmp_path))
    (tmp_path / "chips" / "chip.toml").write_text(named)
    with pytest.raises(ImagerError, match="lies elsewhere, expected one beside this file"):
        Imager.from_toml(tmp_path / "chips" / "chip.toml")
