"""How time and memory grow with pixels, frames, layers and emitters.

    python benchmarks/scaling.py docs/images/scaling.png > benchmarks/scaling.md

Each size runs in a process of its own with one thread. Time is the processor's (user and system),
the median of three runs after one to warm up; memory is the peak of the process. Exponents are
slopes of straight lines through the logarithms of the larger half of the sizes, where a fixed cost
counts least; those of memory are of what is above the smallest size.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

REPEATS = 3
#: What grows -> its sizes, its unit, and why it grows as it does.
SIZES = {
    "pixels": ((51, 102, 204, 408, 816), "pixels of a frame (side)"),
    "frames": ((1, 4, 16, 64, 256, 1024), "captures of 51 x 51 pixels"),
    "layers": ((1, 2, 3, 4, 5, 6), "layers looked for, 64 captures"),
    "emitters": ((1, 2, 4, 8, 16, 30), "emitters of one capture, located"),
    "solver": ((51, 102, 204, 408), "pixels of a frame (side), FISTA of 20 iterations"),
}
#: Kinds whose size is the side of a frame; their exponents are by the number of pixels.
BY_SIDE = ("pixels", "solver")


def job(kind: str, size: int):
    """Return a function that does the work once."""
    import fociscope
    from fociscope.imager import Imager

    if kind == "emitters":
        from fociscope.localization import EmitterResponse, Locator

        imager = Imager.reference()
        rng = np.random.default_rng(size)
        places = np.column_stack([rng.uniform(100, 2700, (size, 2)), rng.uniform(50, 950, size)])
        light = EmitterResponse(imager, (51, 51))(places)[0].sum(0).reshape(1, 2, 51, 51)
        light = light + rng.normal(0, light.max() / 100, light.shape)
        locator = Locator(imager, (51, 51))
        return lambda: locator.locate(light)
    side = size if kind in BY_SIDE else 51
    frames = {"frames": size, "layers": 64}.get(kind, 1)
    imager = Imager(frame_px=(side, side))
    captures = fociscope.simulate(min(frames, 16), seed=1, imager=imager).captures
    captures = np.concatenate([captures] * (-(-frames // len(captures))))[:frames]
    if kind == "solver":
        from fociscope.solvers import fista

        depth_um = np.array([200.0, 400.0, 600.0, 800.0])
        return lambda: fista(captures, depth_um, imager, iterations=20, tolerance=0.0)
    model = fociscope.load_model("layers-ab", imager=imager, device="cpu")
    layers = size if kind == "layers" else 4
    return lambda: model.reconstruct(captures, layers=layers)


def measured(kind: str, size: int) -> dict[str, float]:
    """Return seconds of the processor and peak memory in MiB of one size."""
    import torch

    torch.set_num_threads(1)
    run = job(kind, size)
    run()
    seconds = []
    for _ in range(REPEATS):
        before = time.process_time()
        run()
        seconds.append(time.process_time() - before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"size": size, "seconds": statistics.median(seconds), "mib": peak}


def in_process(kind: str, size: int) -> dict[str, float]:
    """Measure in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--one", kind, str(size)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def exponent(sizes: np.ndarray, values: np.ndarray) -> float:
    """Return the slope of the logarithms of the larger half."""
    half = len(sizes) // 2
    if (values[half:] <= 0).any():
        return float("nan")
    return float(np.polyfit(np.log(sizes[half:]), np.log(values[half:]), 1)[0])


def draw(rows: dict[str, list[dict[str, float]]], path: Path) -> None:
    """Draw time and memory of each kind."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from fociscope.figures.style import PLOT_STYLE

    with mpl.rc_context(PLOT_STYLE):
        figure = Figure(figsize=(9.5, 4.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(2, len(rows), squeeze=False)
        for column, (kind, found) in enumerate(rows.items()):
            sizes = np.array([row["size"] for row in found], float)
            x = sizes**2 if kind in BY_SIDE else sizes
            ms = np.array([1e3 * one["seconds"] for one in found])
            above, below = axes[:, column]
            above.loglog(x, ms, "o-", color="#2f5d9e")
            above.set_title(f"{kind}: {exponent(x, ms):.2f}")
            above.set_ylim(ms.min() / 2, ms.max() * 2)
            below.semilogx(x, [one["mib"] for one in found], "o-", color="#2f5d9e")
            below.set_ylim(0, 1.15 * max(one["mib"] for one in found))
            below.set_xlabel("pixels" if kind in BY_SIDE else kind)
            for panel in (above, below):
                panel.minorticks_off()
                if kind not in BY_SIDE:
                    shown = found if len(found) < 6 else found[::2]
                    panel.set_xticks(
                        [one["size"] for one in shown], [f"{one['size']}" for one in shown]
                    )
        axes[0, 0].set_ylabel("processor time (ms)")
        axes[1, 0].set_ylabel("peak memory (MiB)")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)


def main() -> None:
    """Measure all sizes, print the table and draw it."""
    if sys.argv[1] == "--one":
        print(json.dumps(measured(sys.argv[2], int(sys.argv[3]))))
        return
    rows = {kind: [in_process(kind, size) for size in sizes] for kind, (sizes, _) in SIZES.items()}
    draw(rows, Path(sys.argv[1]))
    print("| what grows | size | processor time (ms) | peak memory (MiB) |\n|---|---|---|---|")
    for kind, found in rows.items():
        for one in found:
            size = f"{one['size']} x {one['size']}" if kind in BY_SIDE else f"{one['size']}"
            print(f"| {SIZES[kind][1]} | {size} | {1e3 * one['seconds']:.1f} | {one['mib']:.0f} |")
    print("\n| what grows | exponent of time | of memory above the smallest |\n|---|---|---|")
    for kind, found in rows.items():
        sizes = np.array([one["size"] for one in found], float)
        sizes = sizes**2 if kind in BY_SIDE else sizes
        seconds = np.array([one["seconds"] for one in found])
        above = np.array([one["mib"] - found[0]["mib"] for one in found])
        name = "pixels, a solver" if kind == "solver" else kind
        print(f"| {name} | {exponent(sizes, seconds):.2f} | {exponent(sizes, above):.2f} |")


if __name__ == "__main__":
    main()
