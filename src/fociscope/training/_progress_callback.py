"""Lightning's end of a run's progress: steps done, and the scores of each validation."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn

from fociscope.training._checkpoint import MONITORED, BestAndLastCheckpoint
from fociscope.training.progress import TrainingProgress, ValidationScores

__all__ = ["ProgressCallback"]


class ProgressCallback(L.Callback):
    """Advances the phase of a stage; in the first process alone."""

    def __init__(
        self, progress: TrainingProgress, phase: str, selection: BestAndLastCheckpoint
    ) -> None:
        """Report to a run's progress.

        Args:
            progress: Progress of the run.
            phase: Name of the stage's phase, which begins with its first step.
            selection: Checkpoints of the stage, which know the best validation.
        """
        self._progress, self._phase, self._selection = progress, phase, selection
        self._has_begun = False

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        """Begin the phase, once the first batch is there."""
        if trainer.is_global_zero and not self._has_begun:
            self._has_begun = True
            self._progress.begin(self._phase, trainer.global_step)

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Count the step."""
        if trainer.is_global_zero:
            self._progress.advance(trainer.global_step)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the scores."""
        if trainer.state.fn != TrainerFn.FITTING or not trainer.is_global_zero:
            return
        metrics = trainer.callback_metrics
        # Lightning runs checkpoint callbacks last, so the best so far is still that of before.
        is_best = self._selection.is_better(float(metrics[MONITORED]))
        scores = ValidationScores(
            step=trainer.global_step,
            loss=float(metrics["val/loss"]),
            accuracy=float(metrics["val/accuracy"]),
            depth_error_um=float(metrics["val/depth_error_um"]),
            is_best=is_best,
        )
        self._progress.validated(scores)
