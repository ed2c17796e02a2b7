"""Boosted trees and random forests over k-mer counts, GC content, melting temperature and bases.

The report's classical baselines (Vynnyk et al. 2022). A tree model is a `torch.nn.Module` like any
other, so it trains, predicts, scores and saves through the same verbs; LightGBM's own text form
travels in the checkpoint as bytes. It has no gradient, and nothing of it is lowered.
"""

from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from fastseq._lazy import load
from fastseq.arrays import UNKNOWN, Codes
from fastseq.errors import CheckpointError, ModelError, OptionError
from fastseq.models.blocks import task_names
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.sequence.features import gc_content, melting_temperature
from fastseq.sequence.kmers import count_kmers

Objective: TypeAlias = Literal["regression", "huber", "binary"]


class Trees(nn.Module):
    """LightGBM, boosted or as a random forest, one ensemble a task.

    The report's settings: up to 2,047 leaves, 600 rounds under a decaying rate, parts of the rows
    and features for each. Rate, decay and shares are our reading; it gives none.

    Parameters
    ----------
    length : int
        Model input in bp.
    tasks : int
    k : tuple of int
        Lengths of the k-mers that are counted.
    window, stride : int, optional
        k-mers are counted in windows of so many bp, every ``stride`` bp; over the whole sequence
        where no window is given.
    bases, composition : bool
        Also the label-encoded sequence, position by position; also GC content and melting
        temperature.
    boosting : {"gbdt", "rf"}
    leaves, rounds, rate, decay : int, int, float, float
        Leaves of a tree, trees, learning rate and what it is multiplied by each round.
    rows, columns : float
        Share of the rows and of the features that each tree sees.
    patience : int
        Boosting stops after so many rounds without a lower validation loss.
    objective : {"regression", "huber", "binary"}
        "binary" answers with a logit.
    """

    def __init__(
        self,
        *,
        length: int = 110,
        tasks: int = 1,
        k: tuple[int, ...] = (3, 4, 5),
        window: int | None = None,
        stride: int = 1,
        bases: bool = True,
        composition: bool = True,
        boosting: Literal["gbdt", "rf"] = "gbdt",
        leaves: int = 2047,
        rounds: int = 600,
        rate: float = 0.1,
        decay: float = 0.995,
        rows: float = 0.8,
        columns: float = 0.5,
        patience: int = 30,
        objective: Objective = "regression",
    ):
        super().__init__()
        if boosting not in ("gbdt", "rf"):
            raise OptionError(f"boosting={boosting!r}; expected 'gbdt' or 'rf'")
        if not (k or bases or composition):
            raise OptionError("k=(), bases=False, composition=False leave the trees nothing to see")
        shares = {"rows": rows, "columns": columns, "rate": rate, "decay": decay}
        for name, share in shares.items():
            if not 0 < share <= 1:
                raise OptionError(f"{name}={share}; expected a number above 0 and up to 1")
        if leaves < 2 or (window is not None and window < max(k, default=1)):
            raise OptionError(
                f"leaves={leaves}, window={window}; expected 2 leaves or more, and a window that "
                f"holds a k-mer of k={k}"
            )
        if objective not in ("regression", "huber", "binary"):
            raise OptionError(
                f"objective={objective!r}; expected 'regression', 'huber' or 'binary'"
            )
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(
            task_names(tasks), scale="logit" if objective == "binary" else "linear"
        )
        self.k, self.window, self.stride = tuple(k), window, stride
        self.bases, self.composition = bases, composition
        self.rounds, self.rate, self.decay, self.patience = rounds, rate, decay, patience
        self.options = {
            "objective": objective,
            "boosting": boosting,
            "num_leaves": leaves,
            "learning_rate": rate,
            "bagging_fraction": rows,
            "bagging_freq": 1,
            "feature_fraction": columns,
            "verbosity": -1,
            "deterministic": True,
            "force_row_wise": True,
        }
        self.boosters: list[Any] = []

    def features(self, codes: Codes) -> np.ndarray:
        """Return what the trees see: float32 (n, features).

        Parameters
        ----------
        codes : uint8, (n, length)
        """
        stride = self.stride if self.window else 1
        options: dict[str, Any] = {"per_sequence": True, "window": self.window, "dtype": "float32"}
        counts = (count_kmers(codes, k, stride=stride, **options) for k in self.k)
        columns = [np.asarray(one).reshape(len(codes), -1) for one in counts]
        if self.bases:
            columns.append(codes.astype(np.float32))
        if self.composition:
            known = np.where(codes == UNKNOWN, 0, codes)
            columns += [np.stack((gc_content(codes), melting_temperature(known)), axis=1)]
        return np.nan_to_num(np.concatenate(columns, axis=1, dtype=np.float32))

    def fit(
        self,
        codes: Codes,
        targets: np.ndarray,
        val_codes: Codes,
        val_targets: np.ndarray,
        *,
        seed: int = 0,
        weights: np.ndarray | None = None,
    ) -> dict[str, float]:
        """Grow the trees; return the rounds kept and the last training and validation losses.

        Parameters
        ----------
        codes, val_codes : uint8, (n, length)
        targets, val_targets : float, (n, tasks)
        seed : int
            Decides which rows and features each tree sees.
        weights : float, (n,), optional
            What each row counts.
        """
        lightgbm = load("lightgbm")
        forest = self.options["boosting"] == "rf"
        seen, held = self.features(codes), self.features(val_codes)
        options = {**self.options, "seed": seed, "num_threads": torch.get_num_threads()}
        self.boosters, found = [], []
        for task in range(targets.shape[1]):
            train = lightgbm.Dataset(
                seen, targets[:, task].copy(), weight=weights, free_raw_data=False
            )
            valid = lightgbm.Dataset(held, val_targets[:, task].copy(), reference=train)
            losses: dict = {}
            calls = [lightgbm.record_evaluation(losses)]
            if not forest:
                calls.append(lightgbm.early_stopping(self.patience, verbose=False))
                calls.append(
                    lightgbm.reset_parameter(learning_rate=lambda i: self.rate * self.decay**i)
                )
            booster = lightgbm.train(
                options, train, self.rounds, [train, valid], ["train", "val"], callbacks=calls
            )
            best = booster.best_iteration or self.rounds
            # through the text form, so that a trained model is the very one that loads again
            text = booster.model_to_string(num_iteration=best)
            self.boosters.append(lightgbm.Booster(model_str=text))
            at = [next(iter(losses[name].values()))[best - 1] for name in ("train", "val")]
            found.append([best, *at])
        rounds, loss, val_loss = np.mean(found, axis=0)
        return {"rounds": float(rounds), "loss": float(loss), "val_loss": float(val_loss)}

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        if not self.boosters:
            raise ModelError("these trees are not grown yet; train them with fastseq.train")
        codes = torch.where(x.sum(1) > 0.5, x.argmax(1), UNKNOWN).to(torch.uint8)
        seen = self.features(np.ascontiguousarray(codes.cpu().numpy()))
        options = {"raw_score": True, "num_threads": torch.get_num_threads()}
        answers = [booster.predict(seen, **options) for booster in self.boosters]
        return torch.from_numpy(np.stack(answers, axis=1)).to(x)

    def get_extra_state(self) -> Tensor:
        """Return the boosters' text, the tasks set apart by a zero byte, as bytes in a tensor."""
        text = b"\0".join(booster.model_to_string().encode() for booster in self.boosters)
        return torch.from_numpy(np.frombuffer(text, np.uint8).copy())

    def set_extra_state(self, state: Tensor) -> None:
        """Take up the boosters of a checkpoint.

        Raises
        ------
        CheckpointError
            The bytes are no LightGBM model.
        """
        lightgbm = load("lightgbm")
        texts = state.cpu().numpy().tobytes().split(b"\0") if state.numel() else []
        try:
            self.boosters = [lightgbm.Booster(model_str=text.decode()) for text in texts]
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
            raise CheckpointError(f"the checkpoint's trees cannot be read: {error}") from error


def random_forest(
    *,
    length: int = 110,
    tasks: int = 1,
    k: tuple[int, ...] = (3, 4, 5),
    window: int | None = None,
    stride: int = 1,
    bases: bool = True,
    composition: bool = True,
    leaves: int = 2047,
    rounds: int = 200,
    objective: Objective = "regression",
) -> Trees:
    """Return a random forest: trees on bootstrap-sized parts, a third of the features each."""
    return Trees(
        length=length,
        tasks=tasks,
        k=k,
        window=window,
        stride=stride,
        bases=bases,
        composition=composition,
        boosting="rf",
        leaves=leaves,
        rounds=rounds,
        rows=0.632,
        columns=0.33,
        objective=objective,
    )
