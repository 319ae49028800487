"""A live reconstruction of simulated captures at several frame rates: maps, drops and latencies.

    python benchmarks/live.py [--seconds 5] > table.md

Captures of the reference imager (51x51 pixels, two sensors) come at a fixed rate, as of a camera.
"""

from __future__ import annotations

import argparse
import time

import fociscope
from fociscope.live import LiveReconstruction, LiveStatistics

RATES_HZ = (5, 20, 50, 100, 200, 500)


def run(model: fociscope.reconstruction.Model, rate_hz: float, seconds: float) -> LiveStatistics:
    """Return what came of so many seconds of frames."""
    captures = fociscope.simulate(20, seed=1).captures
    with LiveReconstruction(model.reconstruct, lambda frame: None) as live:
        begin = time.monotonic()
        for number in range(int(rate_hz * seconds)):
            time.sleep(max(0.0, begin + number / rate_hz - time.monotonic()))
            live.submit(captures[number % len(captures)])
    return live.statistics


def main() -> None:
    """Print a row for each rate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds = parser.parse_args().seconds
    model = fociscope.load_model("layers-ab")
    model.expect_many()
    run(model, 20, 1.0)  # kernels and buffers are made with the first captures
    print("| frames a second | maps a second | dropped (%) | latency: median, 90 % (ms) |")
    print("|---|---|---|---|")
    for rate in RATES_HZ:
        s = run(model, rate, seconds)
        print(
            f"| {rate} | {s.done / seconds:.0f} | {100 * s.dropped / s.received:.0f} "
            f"| {1000 * s.median_s:.0f}, {1000 * s.p90_s:.0f} |"
        )


if __name__ == "__main__":
    main()
