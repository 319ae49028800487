"""A user's own images as layers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from fociscope.errors import FileFormatError, SceneError
from fociscope.imager import Imager
from fociscope.simulation import Scenes, UserLayers, simulate

FRAME_PX = (30, 40)
IMAGER = Imager.reference().with_(frame_px=FRAME_PX)


def blob(row: int, column: int, shape: tuple[int, int] = FRAME_PX) -> np.ndarray:
    image = np.full(shape, 10, np.uint16)
    image[row : row + 8, column : column + 6] = 1000
    image[row + 2, column + 2] = 4000
    return image


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, ...]:
    paths = (tmp_path / "upper.tif", tmp_path / "lower.npy")
    tifffile.imwrite(paths[0], blob(3, 4))
    np.save(paths[1], blob(15, 20))
    return paths


def scenes(specimen: UserLayers, **settings: Any) -> Scenes:
    return simulate(2, **{"seed": 0, "layers": 2, "imager": IMAGER, **settings}, specimen=specimen)


def test_images_are_layers_in_their_order_with_a_mean_of_one(files: tuple[Path, ...]) -> None:
    made = scenes(UserLayers(files=files, threshold=0.2))
    for scene in range(2):
        for layer, image in enumerate((blob(3, 4), blob(15, 20))):
            mask = image > 800
            assert np.array_equal(made.mask[scene, layer], mask)
            expected = image / image[mask].mean()
            np.testing.assert_allclose(made.layers[scene, layer], expected, rtol=1e-6)
    assert made.depth_um[0].tolist() != made.depth_um[1].tolist()


def test_the_threshold_is_a_share_of_the_maximum(files: tuple[Path, ...]) -> None:
    assert scenes(UserLayers(files=files)).mask.sum() == 2 * 2  # the bright pixel of each


def test_masks_are_read_from_files_of_their_own(files: tuple[Path, ...], tmp_path: Path) -> None:
    masks = np.zeros((2, *FRAME_PX), np.uint8)
    masks[:, 15:20, 3:30] = 255
    tifffile.imwrite(tmp_path / "masks.tif", masks)
    made = scenes(UserLayers(files=files, masks=(tmp_path / "masks.tif",)))
    assert np.array_equal(made.mask[0], masks > 0)
    for layer in range(2):
        assert made.layers[0, layer][masks[layer] > 0].mean() == pytest.approx(1.0, rel=1e-5)


def test_a_stack_holds_several_layers(tmp_path: Path) -> None:
    np.save(tmp_path / "both.npy", np.stack([blob(3, 4), blob(15, 20)]))
    made = scenes(UserLayers(files=(tmp_path / "both.npy",), threshold=0.2))
    assert np.array_equal(made.mask[0, 1], blob(15, 20) > 800)


def test_cells_are_drawn_where_the_image_says(files: tuple[Path, ...]) -> None:
    made = scenes(UserLayers(files=files, threshold=0.2, emission="cells"))
    assert (made.layers[~made.mask] == 0).all()
    assert made.layers[0].tobytes() != made.layers[1].tobytes()
    assert 0.5 < made.layers[made.mask].mean() < 1.6


def test_around_the_frame_the_mirror_image_goes_on(files: tuple[Path, ...], tmp_path: Path) -> None:
    surround = IMAGER.with_(boundary="reflect")
    np.save(tmp_path / "even.npy", np.ones(FRAME_PX))
    even = UserLayers(files=(tmp_path / "even.npy",))
    made = scenes(even, layers=1, imager=surround, peak_snr_db=None)
    assert made.layers.shape[-2:] == FRAME_PX
    # An even plane without an end looks even.
    assert made.captures[:, 0].min() > 0.97 * made.captures[:, 0].max()
    assert np.array_equal(
        scenes(UserLayers(files=files), imager=surround).mask, scenes(UserLayers(files=files)).mask
    )


def test_a_dark_layer_stays_dark(files: tuple[Path, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "dark.npy", np.zeros(FRAME_PX))
    made = scenes(UserLayers(files=(files[0], tmp_path / "dark.npy")))
    assert not made.layers[:, 1].any()
    assert not made.mask[:, 1].any()


def test_other_sizes_are_refused_and_never_resampled(tmp_path: Path) -> None:
    np.save(tmp_path / "large.npy", blob(1, 1, (60, 80)))
    with pytest.raises(SceneError, match=r"large\.npy: an image of 60x80 .* expected 30x40"):
        scenes(UserLayers(files=(tmp_path / "large.npy",)), layers=1)


def test_another_number_of_layers_is_refused(files: tuple[Path, ...]) -> None:
    with pytest.raises(SceneError, match=r"hold 2 layer.* the scene has 3; ask for 2 layers"):
        scenes(UserLayers(files=files), layers=3)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_light_that_is_none_is_refused(tmp_path: Path, value: float) -> None:
    image = np.ones(FRAME_PX)
    image[2, 2] = value
    np.save(tmp_path / "bad.npy", image)
    with pytest.raises(SceneError, match=r"bad\.npy: holds negative values or NaN"):
        scenes(UserLayers(files=(tmp_path / "bad.npy",)), layers=1)


def test_a_mask_that_misses_all_light_is_refused(tmp_path: Path) -> None:
    image = np.zeros(FRAME_PX)
    image[2, 2] = 1
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "mask.npy", np.roll(image, 5))
    with pytest.raises(SceneError, match="layer 1 of the files has no light where its mask"):
        scenes(
            UserLayers(files=(tmp_path / "image.npy",), masks=(tmp_path / "mask.npy",)), layers=1
        )


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no such file"):
        scenes(UserLayers(files=(tmp_path / "nowhere.tif",)), layers=1)
