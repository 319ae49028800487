"""The projector's tasks, and how any convolution is put to them."""

from collections.abc import Callable
from typing import NamedTuple
from unittest.mock import patch

import torch
from peers.convolutions import Convolution
from projector_choices import Factors
from torch import Tensor

from fociscope.imager import Imager, LayerProjector

__all__ = [
    "TASKS",
    "Scenes",
    "Task",
    "Work",
    "convolved",
    "differentiated",
    "distances_um",
    "projected",
    "projected_exactly",
    "with_depths",
    "with_kernels",
]

#: Scenes that the alternatives take at once, as many as the projector does.
CHUNK = 16


class Task(NamedTuple):
    """One column: which way, beyond which edge, and whether gradients are taken."""

    title: str
    boundary: str
    adjoint: bool = False
    gradients: bool = False


TASKS = (
    Task("`A`, zero", "zero"),
    Task("`A`, surround", "reflect"),
    Task("`A_adjoint`, zero", "zero", adjoint=True),
    Task("`A_adjoint`, surround", "reflect", adjoint=True),
    Task("`A` and gradients, zero", "zero", gradients=True),
)


class Scenes(NamedTuple):
    """What goes in; the kernels are as wide as the projector's own."""

    layers: Tensor
    depth_um: Tensor
    captures: Tensor
    kernels: Tensor  # (scene, layer, sensor, k, k)

    def first(self, count: int) -> "Scenes":
        return Scenes(*(field[:count] for field in self))


Work = Callable[[Task, Scenes], tuple[Tensor, ...]]
"""Task and scenes -> images, and gradients where the task asks for them."""


def mirror(images: Tensor, radius_px: int) -> Tensor:
    """Continue images (..., n, n) as their mirror image."""
    n = images.shape[-1]
    position = torch.arange(-radius_px, n + radius_px) % (2 * n)
    index = torch.minimum(position, 2 * n - 1 - position)
    return images.index_select(-2, index).index_select(-1, index)


def fold(extended: Tensor, radius_px: int) -> Tensor:
    """The adjoint of `mirror`."""
    frame = torch.eye(extended.shape[-1] - 2 * radius_px).to(extended)
    spread = mirror(frame[None], radius_px)[0][:, radius_px:-radius_px]
    return spread.T @ extended @ spread


def convolved(
    convolution: Convolution, prepared: Tensor, radius_px: int, task: Task, images: Tensor
) -> Tensor:
    """Return `A` or `A_adjoint` by a convolution. Kernels are even: back is as there."""
    if task.boundary == "zero":
        return convolution(images, prepared, "same")
    if task.adjoint:
        return fold(convolution(images, prepared, "full"), radius_px)
    return convolution(mirror(images, radius_px), prepared, "valid")


def backwards(prepared: Tensor | Factors) -> Tensor | Factors:
    """Swap layers and sensors."""
    if isinstance(prepared, Factors):
        return Factors(*(factor.transpose(1, 2) for factor in prepared))
    return prepared.transpose(1, 2)


def with_kernels(
    convolution: Convolution, factors: Factors | None = None, chunk: int = CHUNK
) -> Work:
    """Return the work of a convolution whose kernels, or their factors, are given."""

    def work(task: Task, scenes: Scenes) -> tuple[Tensor, ...]:
        radius_px = scenes.kernels.shape[-1] // 2
        out = []
        for start in range(0, len(scenes.layers), chunk):
            part = slice(start, start + chunk)
            given = Factors(*(f[part] for f in factors)) if factors else scenes.kernels[part]
            given = backwards(given) if task.adjoint else given
            images = (scenes.captures if task.adjoint else scenes.layers)[part]
            out.append(convolved(convolution, given, radius_px, task, images))
        return (torch.cat(out),)

    return differentiated(work, depths=False)


def with_depths(convolution: Callable[..., Tensor]) -> Work:
    """Return the work of a convolution that makes its kernels itself, from depths."""

    def work(task: Task, scenes: Scenes) -> tuple[Tensor, ...]:
        radius_px = scenes.kernels.shape[-1] // 2
        distance_um = distances_um(scenes.depth_um)
        out = []
        for start in range(0, len(scenes.layers), CHUNK):
            part = slice(start, start + CHUNK)
            given = distance_um[part].transpose(1, 2) if task.adjoint else distance_um[part]
            images = (scenes.captures if task.adjoint else scenes.layers)[part]
            out.append(convolved(convolution, given, radius_px, task, images))
        return (torch.cat(out),)

    return differentiated(work, depths=True)


def distances_um(depth_um: Tensor) -> Tensor:
    """Return (scene, layer, sensor) for depths (scene, layer)."""
    return torch.stack([depth_um, Imager.reference().gap_um - depth_um], dim=-1)


def projected(task: Task, scenes: Scenes) -> tuple[Tensor, ...]:
    """Project as the package does."""
    projector = LayerProjector(Imager.reference().with_(boundary=task.boundary))
    if task.adjoint:
        return (projector.A_adjoint(scenes.captures, scenes.depth_um),)
    return (projector.A(scenes.layers, scenes.depth_um),)


def projected_exactly(task: Task, scenes: Scenes) -> tuple[Tensor, ...]:
    """Project with each kernel integrated anew: no bank is to be had."""
    with patch("fociscope.imager.projection.kernel_interpolator", return_value=None):
        return projected(task, scenes)


def differentiated(work: Work, *, depths: bool) -> Work:
    """Where the task asks for it, return the gradients of <A layers, captures> too."""

    def with_gradients(task: Task, scenes: Scenes) -> tuple[Tensor, ...]:
        if not task.gradients:
            return work(task, scenes)
        free = scenes._replace(
            layers=scenes.layers.detach().requires_grad_(),
            depth_um=scenes.depth_um.detach().requires_grad_(),
        )
        (out,) = work(task, free)
        wanted = [free.layers, free.depth_um] if depths else [free.layers]
        return out.detach(), *torch.autograd.grad((out * scenes.captures).sum(), wanted)

    return with_gradients
