r"""Which emitters a capture supports: not a hot pixel, not what a measured response is wrong by.

Models are compared by $\ln L - n \cdot \tfrac{4}{2} \ln N$, where the likelihood of $n$ emitters
holds the errors that their pixels share, its determinant included.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fociscope.localization._fit import EmitterFit, Observation, fit_emitters, within
from fociscope.localization._response import EmitterResponse
from fociscope.typing import Float64Array

__all__ = ["not_of_one_pixel", "supported"]

#: Share of an emitter's information above which it hangs on one pixel.
ONE_PIXEL = 0.5
#: An emitter is split by so much of its depth along x, and of the pitch along y.
APART = 0.6, 0.4
#: Steps of a trial fit, and of the fit that is kept.
TRIAL, KEPT = 15, 30
#: Rounds of splitting.
ROUNDS = 3


def not_of_one_pixel(
    seen: Observation, fit: EmitterFit, least: float
) -> tuple[EmitterFit, Observation]:
    """Return the fit without emitters that a single pixel makes, and a capture without that one.

    An emitter close to a sensor lights one pixel above all, and its neighbours a little; a hot
    pixel does not. Without the pixel, such an emitter no longer explains enough.
    """
    while True:
        for e in range(len(fit.light)):
            information = np.where(seen.used, fit.images[e] ** 2 * fit.weights.diagonal, 0.0)
            pixel = int(information.argmax())
            if information[pixel] < ONE_PIXEL * information.sum():
                continue
            used = seen.used.copy()
            used[pixel] = False
            others = seen.with_(used=used)
            with_it = fit_emitters(others, fit.place_um, steps=TRIAL)
            places = np.delete(fit.place_um, e, axis=0)
            without = fit_emitters(others, places, steps=TRIAL)
            if with_it.log_likelihood - without.log_likelihood < least:
                fit, seen = without, others
                break
        else:
            return fit, seen


def supported(seen: Observation, fit: EmitterFit, least: float) -> EmitterFit:
    """Return the emitters that stay when pixels share errors, beginning with too many.

    The weakest go one by one; then each is tried as two.
    """

    def fitted(places: Float64Array, steps: int = TRIAL) -> EmitterFit:
        return fit_emitters(seen, places, weights=fit.weights, steps=steps)

    def worth(fit: EmitterFit) -> float:
        return fit.log_likelihood - least * len(fit.light)

    best = fitted(fit.place_um, KEPT)
    for _ in range(ROUNDS):
        while len(best.light):
            fewer = [fitted(np.delete(best.place_um, e, axis=0)) for e in range(len(best.light))]
            next_best = max(fewer, key=worth)
            if worth(next_best) < worth(best):
                break
            best = next_best
        split = max(map(fitted, _split(best, seen.response)), key=worth, default=best)
        if worth(split) <= worth(best):
            break
        best = split
    return fitted(best.place_um, KEPT)


def _split(fit: EmitterFit, response: EmitterResponse) -> Iterator[Float64Array]:
    """Return places in which one of the emitters is two, side by side along x or along y."""
    for e, place in enumerate(fit.place_um):
        others = np.delete(fit.place_um, e, axis=0)
        along_x = np.array([APART[0] * place[2], 0, 0])
        along_y = np.array([0, APART[1] * response.imager.pitch_um[0], 0])
        for apart in (along_x, along_y):
            pair = within(response, np.stack([place + apart, place - apart]))
            yield np.concatenate([others, pair])
