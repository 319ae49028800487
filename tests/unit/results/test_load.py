"""A folder that was written is read back into the same object, from each format that holds maps."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import fociscope
from fociscope.errors import FileFormatError, FociscopeError
from fociscope.files.safe.records import read_record, write_record
from fociscope.results import Reconstruction, load_result

#: Depths in `summary.json` are rounded to 0.01 um, presences and residuals to 0.0001.
ROUNDED_UM, ROUNDED = 0.0051, 0.000051


@pytest.fixture
def series(by_hand) -> Reconstruction:
    rng = np.random.default_rng(5)
    return by_hand(
        rng.random((3, 4, 40, 44)) ** 3,
        depth_um=(110.5, 361.25, 592.0, 850.0),
        presence=np.array([[1, 1, 0.8, 0.49999]] * 3, np.float32),
        quality_flags=np.array(["", "odd", ""]),
        names=("x/1_A.tif", "x/2_A.tif", "y/1_A.tif"),
        time_s=np.array([0.0, 2.5, 5.25]),
    )


@pytest.mark.parametrize("form", ["npz", "ome-zarr", "ome-tiff"])
@pytest.mark.parametrize("frame", [None, 1])
def test_what_was_saved_is_read_back(series, tmp_path: Path, form: str, frame: int | None) -> None:
    result = series if frame is None else series.frame(frame)
    result.save(tmp_path / "map", formats=(form, "csv"))

    found = load_result(tmp_path / "map")

    np.testing.assert_array_equal(found.probability, result.probability)
    np.testing.assert_array_equal(found.intensity, result.intensity)
    np.testing.assert_array_equal(found.mask, result.mask)
    np.testing.assert_allclose(found.depth_um, result.depth_um, atol=ROUNDED_UM)
    np.testing.assert_allclose(found.depth_std_um, result.depth_std_um, atol=ROUNDED_UM)
    np.testing.assert_allclose(found.presence, result.presence, atol=ROUNDED)
    np.testing.assert_allclose(found.residual, result.residual, atol=ROUNDED)
    np.testing.assert_array_equal(found.quality_flags, result.quality_flags)
    np.testing.assert_array_equal(found.time_s, result.time_s)
    assert found.names == result.names
    assert found.imager == result.imager
    assert found.summary() == result.summary()


def test_arrays_come_back_to_the_last_bit(series, tmp_path: Path) -> None:
    series.save(tmp_path / "map", formats=("npz",))
    found = load_result(tmp_path / "map")
    for name in ("presence", "depth_um", "depth_std_um", "captures", "reprojection", "residual"):
        np.testing.assert_array_equal(getattr(found, name), getattr(series, name))


def test_a_series_of_one_capture_keeps_its_axis(by_hand, tmp_path: Path) -> None:
    by_hand(np.zeros((1, 2, 8, 9))).save(tmp_path / "map")
    assert load_result(tmp_path / "map").probability.shape == (1, 2, 8, 9)


def test_a_single_layer_keeps_its_axis(by_hand, tmp_path: Path) -> None:
    by_hand(np.zeros((1, 8, 9))).save(tmp_path / "map")
    assert load_result(tmp_path / "map").probability.shape == (1, 8, 9)


def test_tables_alone_are_no_map(series, tmp_path: Path) -> None:
    series.save(tmp_path / "map", formats=("csv",))
    with pytest.raises(FileFormatError, match="npz, ome-zarr or ome-tiff"):
        load_result(tmp_path / "map")


def test_images_of_another_result_are_refused(series, tmp_path: Path) -> None:
    series.save(tmp_path / "map")
    summary = tmp_path / "map" / "summary.json"
    said = json.loads(summary.read_text())
    del said["captures"][0]
    write_record(summary, said, overwrite=True)
    with pytest.raises(FileFormatError, match="12 planes, expected 2 x 4"):
        load_result(tmp_path / "map")


@pytest.mark.parametrize("name", ["probability.ome.tif", "intensity.ome.tif"])
def test_an_image_in_which_a_bit_has_flipped_is_refused(series, tmp_path: Path, name: str) -> None:
    series.save(tmp_path / "map")
    content = bytearray((tmp_path / "map" / name).read_bytes())
    content[-5] ^= 1
    (tmp_path / "map" / name).write_bytes(content)
    with pytest.raises(FileFormatError, match=rf"{name}: changed since it was written"):
        load_result(tmp_path / "map")


@pytest.mark.parametrize("instead", ["nothing", "folder", "link"])
def test_a_series_without_its_table_is_refused(series, tmp_path: Path, instead: str) -> None:
    series.save(tmp_path / "map", formats=("npz", "csv"))
    summary, table = tmp_path / "map" / "summary.json", tmp_path / "map" / "frames.csv"
    said = read_record(summary, "a summary")
    del said["captures"]  # as of a series that was written part by part
    write_record(summary, said, overwrite=True)
    assert load_result(tmp_path / "map").names == series.names
    table.rename(tmp_path / "elsewhere.csv")
    if instead == "folder":
        table.mkdir()
    if instead == "link":
        table.symlink_to(tmp_path / "elsewhere.csv")
    why = "(missing|changed|no plain file)"
    with pytest.raises(FileFormatError, match=rf"frames\.csv: {why} since"):
        load_result(tmp_path / "map")


def test_a_folder_without_a_summary_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"summary\.json: there is no such file"):
        load_result(tmp_path)


def test_what_reconstruct_wrote_is_read_back(tmp_path: Path) -> None:
    scenes = fociscope.simulate(1, seed=0)
    for side, image in zip("AB", scenes.captures[0], strict=True):
        np.save(tmp_path / f"x_{side}.npy", image)
    outcome = fociscope.reconstruct(tmp_path, tmp_path / "map")
    found = fociscope.load_result(tmp_path / "map")
    np.testing.assert_array_equal(found.mask, outcome.first.mask)
    assert found.names == ("x_A.npy",)


def test_a_map_without_its_captures_is_drawn(series, tmp_path: Path) -> None:
    series.save(tmp_path / "map")
    figure = load_result(tmp_path / "map").plot(1)
    assert figure.axes[0].get_title() == "Sensor A: not in the files"


def test_plot_names_the_file_of_the_frame(series) -> None:
    texts = [text.get_text() for text in series.plot(2).texts]
    assert any("y/1_A.tif" in text for text in texts)


def test_foci_are_rows_with_the_columns_of_the_table(series) -> None:
    foci = series.foci()
    assert foci.dtype.names[:4] == ("frame", "layer", "label", "x_um")
    assert set(foci["layer"]) == {0, 1, 2}  # the fourth is absent
    assert np.isclose(foci["area_um2"].sum(), series.mask.sum() * 55.0**2)


def test_without_pandas_a_plain_message_says_what_to_use(series, monkeypatch) -> None:
    def without(name: str):
        if name == "pandas":
            raise ImportError(name)
        return import_module(name)

    monkeypatch.setattr("fociscope.results.result.import_module", without)
    with pytest.raises(FociscopeError, match=r"pandas is not installed; .* result\.foci\(\)"):
        series.foci_frame()


def test_foci_as_a_data_frame_name_their_files(series) -> None:
    pytest.importorskip("pandas")
    table = series.foci_frame()
    assert list(table.columns[:3]) == ["frame", "name", "layer"]
    assert table.name[table.frame == 2].unique() == ["y/1_A.tif"]


def test_html_lists_layers_and_warnings_and_escapes_names(series) -> None:
    html = replace(series, names=("<b>", "2", "3"))._repr_html_()
    assert "0 (&lt;b&gt;)" in html
    assert html.count("<tr>") == 1 + 3 * 4 + 1
    assert "warning: odd" in html
    assert html.count("absent") == 3


def test_html_of_a_long_series_is_short(by_hand) -> None:
    html = by_hand(np.zeros((100, 2, 8, 9)))._repr_html_()
    assert "and 92 more captures" in html
    assert len(html) < 5000
