"""Which states of a run are kept, the best and the last, and when none better is waited for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.trainer.states import TrainerFn

__all__ = ["MONITORED", "BestAndLast", "waited_in_vain"]

#: The figure of the validation that is to become as large as possible.
MONITORED = "val/accuracy"


class BestAndLast(Checkpoint):
    """After every validation, writes `last.ckpt`, and `best.ckpt` where it is the best so far.

    It knows its files by their role alone, so a folder that is moved between two parts of a run
    keeps its best.

    Attributes:
        best_score: so far; None before the first validation.
        waited: validations since then.
    """

    def __init__(self, folder: Path, patience: int = 0) -> None:
        """Write into a folder.

        Args:
            folder: of the checkpoints.
            patience: validations without a better one after which training stops; 0 never does.
        """
        self.folder, self.patience = folder, patience
        self.best_score: float | None = None
        self.waited = 0

    @property
    def best(self) -> Path:
        """The checkpoint of the best validation."""
        return self.folder / "best.ckpt"

    @property
    def last(self) -> Path:
        """The checkpoint that a run goes on from."""
        return self.folder / "last.ckpt"

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep the state, the best first: a run that is killed between the two scores it again."""
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        score = float(trainer.callback_metrics[MONITORED])
        best = self.best_score
        if best is None or math.isnan(best) or score > best:
            self.best_score, self.waited = score, 0
            trainer.save_checkpoint(self.best)
        else:
            self.waited += 1
        trainer.save_checkpoint(self.last)
        if self.patience and self.waited >= self.patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint remembers of the selection."""
        return {"best_score": self.best_score, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what a checkpoint remembers."""
        self.best_score, self.waited = state_dict["best_score"], state_dict["waited"]


def waited_in_vain(checkpoint: dict[str, Any], patience: int) -> bool:
    """Whether the run of a checkpoint has stopped early."""
    state = checkpoint.get("callbacks", {}).get(BestAndLast.__qualname__, {})
    return bool(patience and state.get("waited", 0) >= patience)
