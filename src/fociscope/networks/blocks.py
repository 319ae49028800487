"""Building blocks: a residual convolution, and a modulation of features by the whole picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Modulation", "ResidualBlock"]


class ResidualBlock(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))): pre-activation (He et al., ECCV 2016)."""

    def __init__(self, channels: int) -> None:
        """Keep `channels` and the frame as they are."""
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=False),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channel, y, x) -> the same shape."""
        return x + torch.as_tensor(self.body(x))


class Modulation(nn.Module):
    """Scale and shift each channel by what the whole picture tells (FiLM, Perez et al. 2018).

    How much a layer is blurred depends on its depth, which only the whole picture tells.
    """

    def __init__(self, context: int, channels: int) -> None:
        """Start as the identity."""
        super().__init__()
        self.linear = nn.Linear(context, 2 * channels)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(batch, channel, y, x), (batch, context) -> (batch, channel, y, x)."""
        scale, shift = self.linear(context)[..., None, None].chunk(2, dim=1)
        modulated: Tensor = x * (1 + scale) + shift
        return modulated
