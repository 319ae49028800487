"""Files of the real libraries that people write captures with, read as what was written.

`docs/captures.md` has the same table in words. The extra `interop` installs the libraries that are
small; a writer whose library is absent is skipped.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from fociscope.cli import main
from fociscope.errors import FileFormatError
from fociscope.files import open_captures

HEIGHT, WIDTH = 41, 51
FRAMES = np.random.default_rng(1).integers(100, 65000, (3, 2, HEIGHT, WIDTH)).astype(np.uint16)
"""(frame, sensor, y, x)."""
SENSOR_A, CAPTURE, IMAGE = FRAMES[:, :1], FRAMES[:1], FRAMES[:1, :1]
SPARSE = IMAGE.copy()
SPARSE[..., :16, :16] = 0
PIXEL_UM = 55.0
TIMES_S = (0.0, 0.5, 1.0)
INTERVAL_S = 0.5


class Writer(NamedTuple):
    """One program, one layout."""

    write: Callable[[Path], Path]
    needs: tuple[str, ...]
    """Modules, or programs where the name begins with "$"."""
    expected: np.ndarray | str
    """(frame, sensor, y, x), or a pattern of the message of a refusal."""
    pixel_um: float | None
    time_s: tuple[float, ...] | None
    note: str


WRITERS: dict[str, Writer] = {}


def writer(
    *needs: str,
    expected: np.ndarray | str = FRAMES,
    pixel_um: float | None = None,
    time_s: tuple[float, ...] | None = None,
    note: str = "",
) -> Callable[[Callable[[Path], Path]], Callable[[Path], Path]]:
    """Add a function that writes a file into a folder, and returns its path."""

    def add(write: Callable[[Path], Path]) -> Callable[[Path], Path]:
        WRITERS[write.__name__] = Writer(write, needs, expected, pixel_um, time_s, note)
        return write

    return add


@writer("ndstorage", pixel_um=PIXEL_UM)
def ndstorage_ndtiff(folder: Path) -> Path:
    from ndstorage import NDTiffDataset

    about = {"PixelSizeUm": PIXEL_UM}
    data = NDTiffDataset(str(folder), name="run", summary_metadata=about, writable=True)
    for time, pair in enumerate(FRAMES):
        for camera, image in zip(("CamA", "CamB"), pair, strict=True):
            data.put_image({"time": time, "channel": camera}, image, about)
    data.finish()
    data.close()
    return folder / "run_1" / "run_NDTiffStack.tif"


def _acquire(folder: Path, codec: str | None) -> Path:
    import acquire_zarr as az

    def axis(name: str, kind: Any, size: int, chunk: int, shard: int, **scale: Any) -> Any:
        return az.Dimension(
            name=name, kind=kind, array_size_px=size, chunk_size_px=chunk, shard_size_chunks=shard,
            **scale,
        )  # fmt: skip

    kinds, um = az.DimensionType, {"unit": "micrometer", "scale": PIXEL_UM}
    array: dict[str, Any] = {"data_type": FRAMES.dtype, "is_ngff": True}
    array["dimensions"] = [
        axis("t", kinds.TIME, 0, 1, 1, unit="second", scale=INTERVAL_S),
        axis("c", kinds.CHANNEL, 2, 1, 1),
        axis("y", kinds.SPACE, HEIGHT, 20, 3, **um),
        axis("x", kinds.SPACE, WIDTH, 26, 2, **um),
    ]
    if codec is not None:
        array["compression"] = az.CompressionSettings(
            compressor=az.Compressor.BLOSC1, codec=getattr(az.CompressionCodec, codec), level=1,
            shuffle=1,
        )  # fmt: skip
    path = folder / "a.zarr"
    stream = az.ZarrStream(
        az.StreamSettings(store_path=str(path), arrays=[az.ArraySettings(**array)])
    )
    stream.append(FRAMES)
    stream.close()
    return path


@writer("acquire_zarr", pixel_um=PIXEL_UM, time_s=TIMES_S)
def acquire_zarr(folder: Path) -> Path:
    return _acquire(folder, None)


@writer("acquire_zarr", pixel_um=PIXEL_UM, time_s=TIMES_S)
def acquire_zarr_blosc_zstd(folder: Path) -> Path:
    return _acquire(folder, "BLOSC_ZSTD")


@writer("acquire_zarr", pixel_um=PIXEL_UM, time_s=TIMES_S)
def acquire_zarr_blosc_lz4(folder: Path) -> Path:
    return _acquire(folder, "BLOSC_LZ4")


def _ngff(folder: Path, version: str, name: str = "a.ome.zarr", **how: Any) -> Path:
    import ngff_zarr as nz

    image = nz.to_ngff_image(
        FRAMES, dims=list("tcyx"), scale={"t": INTERVAL_S, "c": 1.0, "y": PIXEL_UM, "x": PIXEL_UM},
        translation=dict.fromkeys("tcyx", 0.0),
        axes_units={"t": "second", "y": "micrometer", "x": "micrometer"},
    )  # fmt: skip
    scales = nz.to_multiscales(image, scale_factors=[2], cache=False)
    nz.to_ngff_zarr(str(folder / name), scales, version=version, overwrite=True, **how)
    return folder / name


@writer("ngff_zarr", pixel_um=PIXEL_UM, time_s=TIMES_S)
def ngff_zarr_04(folder: Path) -> Path:
    return _ngff(folder, "0.4")


@writer("ngff_zarr", pixel_um=PIXEL_UM, time_s=TIMES_S)
def ngff_zarr_05_shards(folder: Path) -> Path:
    return _ngff(folder, "0.5", chunks_per_shard=2)


@writer("ngff_zarr", pixel_um=PIXEL_UM, time_s=TIMES_S)
def ngff_zarr_06(folder: Path) -> Path:
    return _ngff(folder, "0.6")


@writer("ngff_zarr", pixel_um=PIXEL_UM, time_s=TIMES_S)
def ngff_zarr_zipped(folder: Path) -> Path:
    return _ngff(folder, "0.5", "a.ozx")


def _iohub(folder: Path, layout: str, channels: list[str], scale: list[float] | None) -> Path:
    from iohub.ngff import TransformationMeta, open_ome_zarr

    path, frames = folder / "a.zarr", FRAMES[:, :, None]
    how = None if scale is None else [TransformationMeta(type="scale", scale=scale)]
    if channels[0].endswith("B"):
        frames = frames[:, ::-1].copy()
    with open_ome_zarr(
        path, layout=layout, mode="w", channel_names=channels, version="0.5"
    ) as data:
        image = data if layout == "fov" else data.create_position("A", "1", "0")
        image.create_image("0", frames, transform=how)
    return path


@writer("iohub", note="scale is 1 along all axes")
def iohub_without_scale_channels_in_reverse(folder: Path) -> Path:
    return _iohub(folder, "fov", ["Cam B", "Cam A"], None)


@writer("iohub", pixel_um=PIXEL_UM, time_s=TIMES_S)
def iohub_plate(folder: Path) -> Path:
    return _iohub(folder, "hcs", ["A", "B"], [INTERVAL_S, 1, 1, PIXEL_UM, PIXEL_UM])


def _bioio_zarr(folder: Path, zarr_format: int) -> Path:
    from bioio_ome_zarr.writers import Channel, OMEZarrWriter

    store = OMEZarrWriter(
        store=str(folder / "a.ome.zarr"), level_shapes=[(3, 2, 1, HEIGHT, WIDTH)], dtype="uint16",
        zarr_format=zarr_format, channels=[Channel(label=one, color="FFFFFF") for one in "AB"],
        axes_names=list("tczyx"), axes_types=["time", "channel", "space", "space", "space"],
        axes_units=["second", None, "micrometer", "micrometer", "micrometer"],
        physical_pixel_size=[INTERVAL_S, 1.0, 1.0, PIXEL_UM, PIXEL_UM],
    )  # fmt: skip
    store.write_full_volume(FRAMES[:, :, None])
    return folder / "a.ome.zarr"


@writer("bioio_ome_zarr", pixel_um=PIXEL_UM, time_s=TIMES_S)
def bioio_ome_zarr_04(folder: Path) -> Path:
    return _bioio_zarr(folder, 2)


@writer("bioio_ome_zarr", pixel_um=PIXEL_UM, time_s=TIMES_S)
def bioio_ome_zarr_05(folder: Path) -> Path:
    return _bioio_zarr(folder, 3)


@writer("bioio_ome_tiff", pixel_um=PIXEL_UM, note="taken as sensors B and A")
def bioio_ome_tiff_channels_in_reverse(folder: Path) -> Path:
    from bioio_base.types import PhysicalPixelSizes
    from bioio_ome_tiff.writers import OmeTiffWriter

    OmeTiffWriter.save(
        FRAMES[:, ::-1, None].copy(), folder / "a.ome.tiff", dim_order="TCZYX",
        channel_names=["Camera B", "Camera A"],
        physical_pixel_sizes=PhysicalPixelSizes(1.0, PIXEL_UM, PIXEL_UM),
    )  # fmt: skip
    return folder / "a.ome.tiff"


@writer("ome_zarr", pixel_um=PIXEL_UM, time_s=TIMES_S)
def ome_zarr_scale_and_units(folder: Path) -> Path:
    from ome_zarr.writer import write_image

    write_image(
        FRAMES, str(folder / "a.zarr"), axes="tcyx", scale_factors=[2],
        scale={"t": INTERVAL_S, "c": 1.0, "y": PIXEL_UM, "x": PIXEL_UM},
        axes_units={"t": "second", "y": "micrometer", "x": "micrometer"},
    )  # fmt: skip
    return folder / "a.zarr"


@writer("ome_zarr", note="scale is 1 along all axes")
def ome_zarr_plain(folder: Path) -> Path:
    from ome_zarr.writer import write_image

    write_image(FRAMES, str(folder / "a.zarr"), axes="tcyx", scale_factors=[2])
    return folder / "a.zarr"


def _bdv(path: Path, channels: int, times: list[np.ndarray]) -> Path:
    import npy2bdv

    file = npy2bdv.BdvWriter(str(path), nchannels=channels, subsamp=((1, 1, 1),))
    for time, volumes in enumerate(times):
        for channel, volume in enumerate(volumes):
            file.append_view(volume, time=time, channel=channel)
    file.write_xml()
    file.close()
    return path


@writer("npy2bdv")
def npy2bdv_times_and_channels(folder: Path) -> Path:
    return _bdv(folder / "a.h5", 2, list(FRAMES[:, :, None]))


@writer("npy2bdv", expected=SENSOR_A, note="taken as 3 frames")
def npy2bdv_slices(folder: Path) -> Path:
    return _bdv(folder / "a.h5", 1, [SENSOR_A.swapaxes(0, 1)])


@writer("hdf5storage")
def hdf5storage_mat(folder: Path) -> Path:
    import hdf5storage

    hdf5storage.savemat(str(folder / "a.mat"), {"captures": FRAMES}, format="7.3")
    return folder / "a.mat"


@writer("hdf5storage")
def hdf5storage_python(folder: Path) -> Path:
    import hdf5storage

    path = folder / "a.h5"
    hdf5storage.write({"captures": FRAMES}, filename=str(path), matlab_compatible=False)
    return path


def _octave(folder: Path, name: str, save: str) -> Path:
    by_columns = FRAMES.transpose(2, 3, 1, 0)  # y, x, sensor, frame, as is MATLAB's custom
    (folder / "raw").write_bytes(by_columns.tobytes(order="F"))
    code = (
        f"cd('{folder}'); f = fopen('raw'); captures = "
        f"reshape(fread(f, inf, 'uint16=>uint16'), [{HEIGHT} {WIDTH} 2 3]); {save} {name} captures"
    )
    subprocess.run(["octave-cli", "--no-gui", "-q", "--eval", code], check=True)
    return folder / name


@writer("$octave-cli")
def octave_v7(folder: Path) -> Path:
    return _octave(folder, "a.mat", "save -v7")


@writer("$octave-cli")
def octave_hdf5(folder: Path) -> Path:
    return _octave(folder, "a.h5", "save -hdf5")


@writer("$octave-cli", expected="not a MAT v5 or v7.3 file")
def octave_text(folder: Path) -> Path:
    return _octave(folder, "a.mat", "save -text")


def _vips(array: np.ndarray) -> Any:
    import pyvips

    return pyvips.Image.new_from_array(np.ascontiguousarray(array))


@writer("pyvips", expected=SENSOR_A, pixel_um=PIXEL_UM, note="taken as 3 frames")
def pyvips_pages(folder: Path) -> Path:
    image = _vips(SENSOR_A.reshape(-1, WIDTH)).copy(xres=1000 / PIXEL_UM, yres=1000 / PIXEL_UM)
    image.set_type(_gint(), "page-height", HEIGHT)
    path = folder / "a.tif"
    image.tiffsave(str(path), compression="lzw", predictor="horizontal", resunit="cm")
    return path


def _gint() -> Any:
    import pyvips

    return pyvips.GValue.gint_type


@writer("pyvips", expected=IMAGE, note="smaller copies")
def pyvips_pyramid(folder: Path) -> Path:
    image, path = _vips(IMAGE[0, 0]), folder / "a.tif"
    image.tiffsave(
        str(path), compression="deflate", tile=True, tile_width=16, tile_height=16, pyramid=True
    )
    return path


@writer("pyvips", expected="grey values and an opacity")
def pyvips_two_bands(folder: Path) -> Path:
    path = folder / "a.tif"
    _vips(np.moveaxis(CAPTURE[0], 0, -1)).tiffsave(str(path))
    return path


@writer("pyvips", expected=IMAGE)
def pyvips_png_grey16(folder: Path) -> Path:
    _vips(IMAGE[0, 0]).copy(interpretation="grey16").pngsave(str(folder / "a.png"))
    return folder / "a.png"


def _gdal(folder: Path, planes: np.ndarray, name: str = "a.tif", **how: Any) -> Path:
    import rasterio

    profile = {"driver": "GTiff", "height": HEIGHT, "width": WIDTH, "dtype": planes.dtype}
    with rasterio.open(folder / name, "w", **profile | {"count": len(planes)} | how) as file:
        file.write(planes)
    return folder / name


@writer("rasterio", expected=CAPTURE, note="taken as sensors A and B")
def gdal_two_bands(folder: Path) -> Path:
    return _gdal(folder, CAPTURE[0])


@writer("rasterio", expected=SENSOR_A, note="taken as 3 frames")
def gdal_bands_apart_in_tiles(folder: Path) -> Path:
    return _gdal(
        folder, SENSOR_A[:, 0], interleave="band", tiled=True, blockxsize=16, blockysize=16,
        compress="deflate", predictor=2,
    )  # fmt: skip


@writer("rasterio", expected=IMAGE, note="smaller copies")
def gdal_overviews(folder: Path) -> Path:
    import rasterio

    path = _gdal(folder, IMAGE[0])
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], rasterio.enums.Resampling.average)
    return path


@writer("rasterio", expected=IMAGE // 16)
def gdal_12_bits(folder: Path) -> Path:
    return _gdal(folder, IMAGE[0] // 16, nbits=12)


@writer("rasterio", expected="compressed with ZSTD, expected no compression, deflate, LZW")
def gdal_zstd(folder: Path) -> Path:
    return _gdal(folder, IMAGE[0], compress="zstd")


@writer("rasterio", expected="compressed with predictor 3")
def gdal_floating_point_predictor(folder: Path) -> Path:
    return _gdal(folder, IMAGE[0].astype("f4"), compress="deflate", predictor=3)


def _gdal_sparse(folder: Path, **how: Any) -> Path:
    """Its first tile is nothing but zeros, which GDAL does not write."""
    return _gdal(
        folder, SPARSE[0], sparse_ok=True, tiled=True, blockxsize=16, blockysize=16, **how
    )  # fmt: skip


@writer("rasterio", expected=SPARSE, note="1 strips or tiles were never written")
def gdal_sparse_with_a_nodata_value(folder: Path) -> Path:
    return _gdal_sparse(folder, nodata=0)


@writer("rasterio", expected="were never written and no nodata value")
def gdal_sparse(folder: Path) -> Path:
    return _gdal_sparse(folder)


@writer("rasterio", expected="3 channels, expected 2")
def gdal_zarr_of_three_bands(folder: Path) -> Path:
    return _gdal(folder, SENSOR_A[:, 0], "a.zarr", driver="Zarr")


def _itk(path: Path, array: np.ndarray, **how: Any) -> Path:
    import itk

    itk.imwrite(itk.image_from_array(np.ascontiguousarray(array), **how), str(path))
    return path


@writer("itk", expected=SENSOR_A, note="taken as 3 frames")
def itk_tiff(folder: Path) -> Path:
    return _itk(folder / "a.tif", SENSOR_A[:, 0])


@writer("itk", expected=CAPTURE, note="taken as sensors A and B")
def itk_tiff_two_components(folder: Path) -> Path:
    return _itk(folder / "a.tif", np.moveaxis(CAPTURE[0], 0, -1), is_vector=True)


@writer("itk", expected=SENSOR_A, note="taken as 3 frames")
def itk_hdf5(folder: Path) -> Path:
    return _itk(folder / "a.h5", SENSOR_A[:, 0])


def _data_set(axes: str, order: tuple[int, ...], **coordinates: Any) -> Any:
    import xarray as xr

    array = FRAMES
    if coordinates.get("sensor") == ["B", "A"]:
        array = FRAMES[:, ::-1]
    dims = axes.split()
    return xr.DataArray(
        array.transpose(order), dims=dims, name="captures", coords=coordinates
    ).to_dataset()


@writer("xarray", "h5netcdf")
def xarray_netcdf4_h5netcdf(folder: Path) -> Path:
    data = _data_set("sensor time y x", (1, 0, 2, 3))
    data.to_netcdf(folder / "a.nc", engine="h5netcdf")
    return folder / "a.nc"


@writer("xarray", "h5netcdf", note="taken as sensors B and A")
def xarray_netcdf4_sensors_in_reverse(folder: Path) -> Path:
    data = _data_set("time sensor y x", (0, 1, 2, 3), sensor=["B", "A"])
    data.to_netcdf(folder / "a.nc", engine="h5netcdf")
    return folder / "a.nc"


@writer("xarray", "netCDF4")
def xarray_netcdf4_compressed(folder: Path) -> Path:
    how = {"captures": {"zlib": True, "shuffle": True}}
    data = _data_set("time y x sensor", (0, 2, 3, 1))
    data.to_netcdf(folder / "a.nc", engine="netcdf4", encoding=how)
    return folder / "a.nc"


@writer("xarray", expected="netCDF 3")
def xarray_netcdf3(folder: Path) -> Path:
    data = _data_set("time sensor y x", (0, 1, 2, 3)).astype("i4")
    data.to_netcdf(folder / "a.nc", engine="scipy")
    return folder / "a.nc"


@writer("xarray")
def xarray_zarr2(folder: Path) -> Path:
    data = _data_set("y x time camera", (2, 3, 0, 1))
    data.to_zarr(folder / "a.zarr", zarr_format=2, consolidated=True)
    return folder / "a.zarr"


@writer("xarray", note="taken as sensors B and A")
def xarray_zarr3_sensors_in_reverse(folder: Path) -> Path:
    data = _data_set("time sensor y x", (0, 1, 2, 3), sensor=["B", "A"])
    data.to_zarr(folder / "a.zarr", zarr_format=3, consolidated=False)
    return folder / "a.zarr"


@writer("skimage", expected=SENSOR_A, note="labelled as colour")
def skimage_three_planes(folder: Path) -> Path:
    from skimage import io

    io.imsave(folder / "a.tif", SENSOR_A[:, 0], check_contrast=False)
    return folder / "a.tif"


@writer("imageio", expected=SENSOR_A, note="taken as 3 frames")
def imageio_mimwrite(folder: Path) -> Path:
    import imageio

    imageio.mimwrite(folder / "a.tif", list(SENSOR_A[:, 0]))
    return folder / "a.tif"


@writer("cv2", expected=SENSOR_A, note="taken as 3 frames")
def opencv_pages(folder: Path) -> Path:
    import cv2

    cv2.imwritemulti(str(folder / "a.tif"), list(SENSOR_A[:, 0]))
    return folder / "a.tif"


@writer("cv2", expected=IMAGE)
def opencv_png(folder: Path) -> Path:
    import cv2

    cv2.imwrite(str(folder / "a.png"), IMAGE[0, 0])
    return folder / "a.png"


@writer("libtiff", expected="page 1 is 41 x 51 uint16 but page 2 is 41 x 51 bool")
def pylibtiff_stack(folder: Path) -> Path:
    """Its pages after the first lack the number of their bits."""
    from libtiff import TIFF

    file = TIFF.open(str(folder / "a.tif"), mode="w")
    file.write_image(SENSOR_A[:, 0])
    file.close()
    return folder / "a.tif"


def _is_there(need: str) -> bool:
    if need.startswith("$"):
        return shutil.which(need[1:]) is not None
    return importlib.util.find_spec(need) is not None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.filterwarnings("error::fociscope.errors.FociscopeWarning")
@pytest.mark.parametrize("name", WRITERS)
def test_what_is_written_is_what_is_read(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = WRITERS[name]
    absent = [need.lstrip("$") for need in one.needs if not _is_there(need)]
    if absent:
        pytest.skip(f"{', '.join(absent)} is not installed")
    path = one.write(tmp_path)
    if isinstance(one.expected, str):
        with (
            pytest.raises(FileFormatError, match=one.expected),
            open_captures(path) as series,
        ):
            series.read()
        return
    with open_captures(path) as series:
        assert series.shape == one.expected.shape
        np.testing.assert_array_equal(series.read(), one.expected)
        assert series.pixel_size_um == (
            None if one.pixel_um is None else pytest.approx(one.pixel_um, rel=1e-4)
        )
        assert series.time_s == one.time_s
        assert re.search(one.note, " ".join(series.notes)) if one.note else not series.notes
    monkeypatch.setattr(sys, "argv", ["fociscope", "info", str(path)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code
    assert f"{HEIGHT} x {WIDTH} pixels" in capsys.readouterr().out
