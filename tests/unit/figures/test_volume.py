"""The picture of a volume."""

import numpy as np

from fociscope.figures import draw_volume
from fociscope.imager import Imager
from fociscope.results import VolumeMap


def test_it_shows_captures_and_the_volume_from_three_sides():
    probability = np.zeros((5, 40, 36), np.float32)
    probability[3, 10, 12] = 0.9
    captures = np.ones((2, 40, 36), np.float32)
    z = np.arange(100.0, 1000, 200, dtype=np.float32)
    imager = Imager.reference()
    volume = VolumeMap(probability, probability, z, captures, captures, imager, "own")
    figure = draw_volume(volume, "cost_$5")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:3] == ["Sensor A", "Sensor B", "Cells from above, likeliest depth"]
    above = figure.axes[2].images[0].get_array()
    assert float(above[10, 12]) == 700.0
    assert above.mask.sum() == 40 * 36 - 1
    side = figure.axes[4].images[0].get_array()
    assert float(side[3, 12]) == np.float32(0.9)
