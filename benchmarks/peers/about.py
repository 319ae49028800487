"""What the reader of `restoration.md` is told before the tables."""

__all__ = ["ABOUT"]

ABOUT = """\
In brackets: 95 % intervals over scenes (bootstrap, BCa). Squared errors are relative to the light
squared, at each scene's best gain. Times are medians over batches of {batch} scenes, after a
warm-up; a package whose batches are "no" is called for each scene.

**Who is told what.** Rows with the told "depths" have each layer's true depth, which no capture
offers: compare them with one another. The peers cannot search for depths; they are handed the true
PSFs of the true depths, and making these is not in their time, while it is in Fociscope's. The
other rows are handed the captures and the number of layers (`layers-ab`: the captures alone; it
always answers with four layers, and where there is one, the layer nearest in depth within 100 um
counts). `layers-ab` alone was trained, on simulated scenes of the same kind as those scored.

**What was chosen.** A "tuned" row took the best of so many parameter sets on {validation}
validation scenes with as many layers (seed 900, none of them scored): the best accuracy for
accuracy, Dice, MCC and time, and the least squared error for the error of the layers. The grids are
small; finer ones may find a little more. After a first full run, whose scores were seen, grids were
widened where it had chosen an end of them, and the error was given a choice of its own, for peers
and tuned rows alike. Weights are relative to max |A^T y| of each scene. All restored light is read
as cells or no cells by the same code: smoothing and threshold of the best accuracy on these scenes,
for the untuned rows on the first {theirs} of seed 900 with four layers. Iterations are at most 100,
and 300 for lensless's FISTA and scikit-image's Richardson-Lucy.

**What each cannot do.** scikit-image deblurs one image by one kernel: for each depth, each capture
is deblurred alone and the two are averaged, so the light of the other layers stays in. lensless has
one sensor, here A: compare it with Fociscope's row on A alone. Given a stack of PSFs, version 1.0.8
fits each depth to the whole capture by itself (in a second row its gradient is mended to sum the
depths), its ADMM takes a single depth, and its FISTA is given a step of 1 / L, since its default,
1.8 / L, diverges here. deepinv has no model of this imager and no prior for x >= 0 with L1: both
are handed to it, once with Fociscope's projector and once with its own periodic `BlurFFT` on padded
frames; its `TVPrior` is clipped at 0 only at the end.
"""
