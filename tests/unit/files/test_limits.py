from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fociscope.errors import FileFormatError
from fociscope.files import Limits, check_claim, require_file
from fociscope.files.safe.limits import decoding, read_description

PATH = Path("claims.npy")


@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.sampled_from("biuf"))
def test_modest_claims_pass_and_count_float32(shape: list[int], kind: str) -> None:
    dtype = np.dtype(f"{kind}1" if kind in "iu" else {"b": "?", "f": "f8"}[kind])
    assert check_claim(PATH, shape, dtype) == np.prod(shape) * max(dtype.itemsize, 4)


@pytest.mark.parametrize("shape", [(), (0, 5), (5, -1), (1, 1, 1, 1, 1), (8193, 1), (1, 8193),
                                   (200_001, 2, 2), (10_000, 8000, 8000), (10**12,)])  # fmt: skip
def test_impossible_and_oversized_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(FileFormatError, match=r"claims\.npy"):
        check_claim(PATH, shape, np.dtype(np.uint8))


@pytest.mark.parametrize("dtype", ["O", "c8", "S4", "U4", "M8[s]", "V8", [("a", "f4")]])
def test_types_that_are_not_real_numbers_are_refused(dtype: object) -> None:
    with pytest.raises(FileFormatError, match="expected real numbers"):
        check_claim(PATH, (2, 2), np.dtype(dtype))  # type: ignore[call-overload]


def test_unknown_type_is_refused() -> None:
    with pytest.raises(FileFormatError, match="unknown type"):
        check_claim(PATH, (2, 2), None)


def test_own_limits_rule() -> None:
    check_claim(PATH, (10_000, 3), np.dtype("u1"), Limits(max_frame_px=10_000))
    with pytest.raises(FileFormatError, match=r"layers.*GiB"):
        check_claim(PATH, (100, 100), np.dtype("u1"), Limits(max_bytes=39_999), "layers")


def test_require_file_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "empty.tif").touch()
    (tmp_path / "full.tif").write_bytes(b"x")
    assert require_file(tmp_path / "full.tif") == tmp_path / "full.tif"
    for name, words in (("none.tif", "no such file"), ("empty.tif", "empty"), (".", "folder")):
        with pytest.raises(FileFormatError, match=words):
            require_file(tmp_path / name)
    with pytest.raises(FileFormatError):
        require_file(Path("nul\0byte.tif"))


def test_a_description_of_any_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "imager.toml"
    path.write_bytes(b"#" * 2**20)
    assert len(read_description(path)) == 2**20
    path.write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(FileFormatError, match="larger than 1 MiB"):
        read_description(path)


def test_messages_stay_on_one_line() -> None:
    with pytest.raises(FileFormatError) as caught, decoding(Path("a\nb.tif"), "TIFF image"):
        raise ValueError("two\nlines " + "long " * 100)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_out_of_memory_is_not_called_damage() -> None:
    with pytest.raises(FileFormatError, match="memory"), decoding(PATH, "NPY array"):
        raise MemoryError
