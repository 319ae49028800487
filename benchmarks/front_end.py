"""What it is worth to be told the imager, and how: one recipe trained with three front ends.

    python benchmarks/front_end.py RUNS [RECIPE] [--steps 2000] > benchmarks/front_end.md

`optics` is what ships: sixteen widths of the PSF modulate the features. `blind` is told nothing.
`bank` is told the same and sees, beside each capture, eight regularised inverses of it, one for
each distance that the widths are told of. All start from random weights, see the same scenes for as
many steps, and are scored on the same unseen scenes of imagers inside and outside the training
family, told exactly. A network that stands in RUNS is not trained again. `single-a` takes 25
minutes, one thread.
"""

from __future__ import annotations

import argparse
import math
import sys
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fociscope.imager import Imager
from fociscope.networks.conditioning import DISTANCE_SHARES, ENERGIES, optics_features, radii_px
from fociscope.networks.layer_net import Architecture, LayerNet, LayerNetOutput
from fociscope.simulation import simulate
from fociscope.training._module import TrainingModule
from fociscope.training.live_scenes import LiveScenes
from fociscope.training.recipe import Recipe

FRONT_ENDS = ("optics", "blind", "bank")
SEED = 9700
SCENES = 200


class BankNet(LayerNet):
    """A layer network that sees regularised inverses beside the captures."""

    #: Noise-to-signal power of the inverses; at 40 dB much less would do, at 20 dB not.
    REGULARISATION = 3e-3
    MARGIN_PX = 16

    def __init__(self, architecture: Architecture) -> None:
        """Widen the stem."""
        super().__init__(architecture)
        images = architecture.sensors * (1 + len(DISTANCE_SHARES))
        self.stem = nn.Conv2d(
            images * architecture.patch_px**2, architecture.widths[0], 3, padding=1
        )

    def forward(self, captures: Tensor, optics: Tensor, most_layers: Tensor) -> LayerNetOutput:
        """See `LayerNet.forward`."""
        seen = torch.cat([captures, self.inverses(captures, optics).to(captures.dtype)], dim=1)
        return super().forward(seen, optics, most_layers)

    def inverses(self, captures: Tensor, optics: Tensor) -> Tensor:
        """(batch, sensor, y, x) -> (batch, distance * sensor, y, x), by Gaussians as told."""
        width_px = radii_px(optics).reshape(len(optics), len(DISTANCE_SHARES), len(ENERGIES))
        sigma_px = width_px[..., -1] / math.sqrt(-2 * math.log(1 - ENERGIES[-1]))
        wide = F.pad(captures.float(), (self.MARGIN_PX,) * 4, mode="replicate")
        height, width = wide.shape[-2:]
        squared = torch.fft.fftfreq(height)[:, None].square() + torch.fft.rfftfreq(width).square()
        blur = torch.exp(-2 * math.pi**2 * sigma_px.square()[..., None, None] * squared)
        inverse = blur * (1 + self.REGULARISATION) / (blur.square() + self.REGULARISATION)
        sharp = torch.fft.irfft2(
            torch.fft.rfft2(wide)[:, None] * inverse[:, :, None], s=(height, width)
        )
        inner = slice(self.MARGIN_PX, -self.MARGIN_PX)
        return sharp[..., inner, inner].flatten(1, 2)


def main() -> None:
    """Train what is not trained yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("recipe", nargs="?", default="single-a")
    parser.add_argument("--steps", type=int, default=2000)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.runs.mkdir(parents=True, exist_ok=True)
    recipe = Recipe.load(asked.recipe).stage_recipes()[-1]
    networks = [trained(recipe, asked.steps, name, asked.runs) for name in FRONT_ENDS]
    print(f"# Told the imager or not, and how: `{asked.recipe}`, {asked.steps} steps\n")
    print(f"```sh\npython benchmarks/front_end.py RUNS {asked.recipe} --steps {asked.steps}\n```\n")
    print(
        f"From random weights; {SCENES} unseen scenes under each condition, 40 dB. `optics` is\n"
        "told the imager exactly, `blind` nothing; `bank` is told it and sees eight regularised\n"
        "inverses of each capture besides.\n"
    )
    columns = [f"{what}, {name}" for what in ("accuracy (%)", "depth (µm)") for name in FRONT_ENDS]
    print(f"| imager | family | {' | '.join(columns)} |\n|{'---|' * (2 + len(columns))}")
    for name, inside, imager in imagers(recipe):
        found = [scores(network, imager, recipe) for network in networks]
        cells = [f"{100 * right:.2f}" for right, _ in found] + [f"{um:.1f}" for _, um in found]
        print(f"| {name} | {'inside' if inside else 'outside'} | {' | '.join(cells)} |", flush=True)


def built(recipe: Recipe, front_end: str) -> LayerNet:
    """Return a network with random weights, all from the recipe's seed."""
    told = "blind" if front_end == "blind" else "optics"
    kind = BankNet if front_end == "bank" else LayerNet
    torch.manual_seed(recipe.seeds.weights)
    network = kind(recipe.network.model_copy(update={"front_end": told}))
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def trained(recipe: Recipe, steps: int, front_end: str, runs: Path) -> LayerNet:
    """Return the averaged network."""
    path = runs / f"{recipe.name}-{front_end}-{steps}.safetensors"
    network = built(recipe, front_end)
    if not path.is_file():
        module = TrainingModule(recipe)
        module.network = network
        average = AveragedModel(
            network, multi_avg_fn=get_ema_multi_avg_fn(recipe.optimisation.ema_decay),
            use_buffers=True,
        )  # fmt: skip
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=2e-3, total_steps=steps, pct_start=0.1
        )
        for step, batch in enumerate(islice(LiveScenes(recipe), steps)):
            with torch.autocast("cpu", torch.bfloat16, recipe.optimisation.precision != "32-true"):
                terms, _ = module.losses(batch)
            optimizer.zero_grad()
            terms["loss"].backward()
            nn.utils.clip_grad_norm_(network.parameters(), recipe.optimisation.gradient_clip)
            optimizer.step()
            schedule.step()
            average.update_parameters(network)
            if (step + 1) % 500 == 0:
                print(f"{front_end}: step {step + 1} of {steps}", file=sys.stderr, flush=True)
        kept = {n: t.contiguous() for n, t in average.module.state_dict().items()}
        save_file(kept, path)
    network.load_state_dict(load_file(path))
    return network.eval()


def imagers(recipe: Recipe) -> list[tuple[str, bool, Imager]]:
    """Return imagers by name, and whether training has drawn such ones."""
    reference = recipe.reference_imager
    least_deg, most_deg = recipe.family.half_angle_deg
    found = [
        (
            f"half angle {angle_deg}°",
            least_deg <= angle_deg <= most_deg,
            reference.with_(psf=reference.psf.with_(half_angle_deg=float(angle_deg))),
        )
        for angle_deg in (6, 10, 14, 18, 22, 26, 30, 34)
    ]
    found += [
        (f"pitch {pitch_um} µm", False, reference.with_(pixel_pitch_um=float(pitch_um)))
        for pitch_um in (40, 75)
    ]
    return [*found, ("gap 700 µm", False, reference.with_(gap_um=700.0))]


@torch.no_grad()
def scores(network: LayerNet, imager: Imager, recipe: Recipe) -> tuple[float, float]:
    """Return pixel accuracy, and the mean absolute error of depth in um."""
    layers = recipe.validation.layers
    apart_um = recipe.validation.min_separation_um * imager.gap_um / recipe.imager.gap_um
    scenes = simulate(SCENES, seed=SEED, imager=imager, layers=layers, min_separation_um=apart_um)
    optics = optics_features(imager).expand(SCENES, -1)
    said = network(torch.from_numpy(scenes.captures), optics, torch.full((SCENES,), layers))
    right = (said.logit[:, :layers] > 0) == torch.from_numpy(scenes.mask)
    depth_um = said.depth[:, :layers] * imager.gap_um
    off_um = (depth_um - torch.from_numpy(scenes.depth_um)).abs()
    return float(right.float().mean()), float(off_um.mean())


if __name__ == "__main__":
    main()
