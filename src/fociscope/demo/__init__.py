"""The shipped example: a capture pair, and the truth behind it.

`sensor_a.tif` and `sensor_b.tif` are 16-bit captures of one simulated scene under the reference
conditions, `truth.mat` holds its layers; `docs/make_demo.py` made all three.
"""

__all__ = ["CAPTURES", "TRUTH"]

CAPTURES = ("sensor_a.tif", "sensor_b.tif")
TRUTH = "truth.mat"
