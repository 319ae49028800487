"""What the sensors see of tilted and curved layers, against finer slices and direct sums."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fociscope.imager import Imager
from fociscope.simulation import DrawnFrame, Lines, PerlinFoci, SingleCells, Specimen
from fociscope.simulation.frame import project
from fociscope.simulation.surfaces import project_surfaces

Image = NDArray[np.float32]
REFERENCE = Imager.reference()
DRAWN = DrawnFrame.around(REFERENCE)


def light_of(specimen: Specimen) -> Image:
    rng = np.random.default_rng(0)
    return specimen.draw(rng, 1, DrawnFrame((51, 51), 55.0)).light[None]


def tilted(middle_um: float, across_um: float, size: int = 51) -> Image:
    """A plane (scene, layer, y, x) that falls along y and less so along x."""
    fall = np.linspace(-0.5, 0.5, size)
    depth = middle_um + across_um * (0.7 * fall[:, None] + 0.3 * fall[None, :])
    return depth.astype(np.float32)[None, None]


@pytest.mark.parametrize("middle_um", [30.0, 100.0, 400.0])
@pytest.mark.parametrize("specimen", [PerlinFoci(), SingleCells(), Lines()], ids=lambda s: s.kind)
def test_slices_are_fine_enough(specimen: Specimen, middle_um: float) -> None:
    light, depth = light_of(specimen), tilted(middle_um, 60.0)
    found = project_surfaces(REFERENCE, light, depth, drawn=DRAWN)
    finer = project_surfaces(REFERENCE, light, depth, drawn=DRAWN, spacing_um=1.0)
    peak = finer.amax((-2, -1), keepdim=True)
    assert float(((found - finer) / peak).abs().max()) < 5e-3
    assert float((((found - finer) / peak) ** 2).mean().sqrt()) < 3e-4


def test_each_pixel_is_spread_by_the_kernel_of_its_own_depth() -> None:
    """The sum over all pixels, one kernel each, on a frame that no kernel is cut off within."""
    size = 12
    imager = REFERENCE.with_(frame_px=(size, size))
    light = np.random.default_rng(3).uniform(size=(1, 1, size, size)).astype(np.float32)
    depth = tilted(450.0, 300.0, size)
    found = project_surfaces(imager, light, depth, drawn=DrawnFrame.around(imager))[0].numpy()
    expected = np.zeros((2, size, size))
    for row, column in np.ndindex(size, size):
        z = float(depth[0, 0, row, column])
        for sensor, distance in enumerate((z, 1000.0 - z)):
            kernel = np.asarray(imager.psf.kernel(np.array(distance), 55.0, energy=0.99999))
            wide = np.pad(kernel, size)
            top, left = (size + len(kernel) // 2 - n for n in (row, column))
            window = wide[top : top + size, left : left + size]
            expected[sensor] += light[0, 0, row, column] * window
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * expected.max())


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_flat_layers_are_projected_as_ever(boundary: str) -> None:
    imager = REFERENCE.with_(boundary=boundary)
    drawn = DrawnFrame.around(imager)
    rng = np.random.default_rng(1)
    light = rng.uniform(size=(2, 3, *drawn.size_px)).astype(np.float32)
    depth = np.array([[10.0, 400.0, 900.0], [0.0, 300.0, 1000.0]], np.float32)
    flat = np.broadcast_to(depth[..., None, None], light.shape).copy()
    psf = {"half_angle_deg": torch.tensor([14.0, 22.0]), "base_blur_um": torch.tensor([0.0, 40.0])}
    # One by one: the widest PSF of a batch sets where all of its kernels are cut off.
    each = [{name: value[n : n + 1] for name, value in psf.items()} for n in range(2)]
    expected = torch.cat(
        [
            project(imager, light[n : n + 1], depth[n : n + 1], drawn=drawn, **each[n])
            for n in range(2)
        ]
    )
    found = project_surfaces(imager, light, flat, drawn=drawn, **psf)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * float(expected.max()))


def test_light_is_neither_made_nor_lost() -> None:
    """Amid a wide frame all that lands is seen, whatever the depths it came from."""
    light = np.zeros((1, 1, 81, 81), np.float32)
    light[..., 38:43, 38:43] = np.random.default_rng(2).uniform(size=(5, 5))
    imager = REFERENCE.with_(frame_px=(81, 81), gap_um=400.0)
    found = project_surfaces(
        imager, light, tilted(200.0, 390.0, 81), drawn=DrawnFrame.around(imager)
    )
    landing = np.asarray(imager.psf.kernel(np.array(300.0), 55.0, energy=0.9999)).sum()
    expected = float(light.sum() * landing)
    np.testing.assert_allclose(found.sum((-2, -1)), expected, rtol=2e-3)
