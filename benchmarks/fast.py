"""OpenVINO beside torch as the runtime of the network: speed as ratios, and digits.

    python benchmarks/fast.py

Needs the extra `fast`. All work is done in turns, on one thread, so that a machine that is busy
otherwise is fair to all; times are those of the processor, summed over its threads, which other
programs delay less than the clock. Prints the tables of fast.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

import fociscope
from fociscope.networks.inference import InferenceNet
from fociscope.networks.openvino_net import OpenVinoNet
from fociscope.reconstruction import Model

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
RUNTIMES: dict[str, type[InferenceNet]] = {"torch": InferenceNet, "OpenVINO": OpenVinoNet}
TURNS, ALONE, BATCH = 9, 40, 256
Key = tuple[str, str]


def processor_ms(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return 1e3 * (time.process_time() - start)


def in_turns(works: dict[Key, Callable[[], object]], turns: int) -> dict[Key, float]:
    """Return the median time of each, in ms, after two turns that are not counted."""
    times: dict[Key, list[float]] = {key: [] for key in works}
    for turn in range(turns + 2):
        for key, work in works.items():
            taken = processor_ms(work)
            if turn > 1:
                times[key].append(taken)
    return {key: float(np.median(t)) for key, t in times.items()}


def networks(model: Model) -> dict[Key, InferenceNet]:
    network, optics, layers = model.network, model._optics, model.info.layers
    return {
        (precision, runtime): kind(network, optics, layers, dtype)
        for precision, dtype in PRECISIONS.items()
        for runtime, kind in RUNTIMES.items()
    }


def models() -> dict[Key, Model]:
    return {
        (precision, runtime): fociscope.load_model(
            "layers-ab", device="cpu", precision=precision, runtime=runtime.lower()
        )
        for precision in PRECISIONS
        for runtime in RUNTIMES
    }


def speeds(captures: np.ndarray) -> None:
    """Print the time of one capture, alone and among 256, and what OpenVINO makes of it."""
    nets, whole = networks(next(iter(models().values()))), models()
    x = torch.from_numpy(captures)
    one, many = x[:1], x[:BATCH]
    runs: dict[str, tuple[dict[Key, Callable[[], object]], int, int]] = {
        "network, one capture": ({k: lambda n=n: n(one) for k, n in nets.items()}, ALONE, 1),
        "network, 256 captures": ({k: lambda n=n: n(many) for k, n in nets.items()}, TURNS, BATCH),
        "full result, one capture": (
            {k: lambda m=m: m.reconstruct(captures[0]) for k, m in whole.items()},
            ALONE,
            1,
        ),
        "full result, 256 captures": (
            {k: lambda m=m: m.reconstruct(captures[:BATCH]) for k, m in whole.items()},
            TURNS,
            BATCH,
        ),
    }
    print("| what | precision | torch, ms a capture | OpenVINO | times as fast |")
    print("|---|---|---|---|---|")
    for what, (works, turns, count) in runs.items():
        took = in_turns(works, turns)
        for precision in PRECISIONS:
            ours, theirs = (took[precision, runtime] / count for runtime in RUNTIMES)
            ratio = f"{ours / theirs:.2f}"
            print(f"| {what} | {precision} | {ours:.2f} | {theirs:.2f} | {ratio} |", flush=True)


def digits(captures: np.ndarray) -> None:
    """Print how far each runtime is from torch in float32."""
    found = {key: model.reconstruct(captures) for key, model in models().items()}
    exact = found["float32", "torch"]
    print("\n| | probability, rms | largest | depth, rms (um) | largest | presence, largest |")
    print("|---|---|---|---|---|---|")
    for (precision, runtime), result in found.items():
        if result is exact:
            continue
        p, z, q = (
            np.abs(getattr(result, name) - getattr(exact, name)).astype(float)
            for name in ("probability", "depth_um", "presence")
        )
        cells = [np.sqrt((p**2).mean()), p.max(), np.sqrt((z**2).mean()), z.max(), q.max()]
        print(f"| {runtime}, {precision} |", " | ".join(f"{c:.0e}" for c in cells), "|")


def main() -> None:
    torch.set_num_threads(1)
    captures = fociscope.simulate(BATCH, seed=9).captures
    speeds(captures)
    digits(captures)


if __name__ == "__main__":
    main()
