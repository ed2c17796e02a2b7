"""Recipes: how a training goes, as data one can print, compare and change by keyword."""

import math
from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral, Real
from typing import Any, Literal

from fastseq.errors import OptionError


def _check_numbers(of: object, **least: int) -> None:
    """Raise on the first field that is no finite number of at least so much."""
    for field in fields(of):  # type: ignore[arg-type]
        value, low = getattr(of, field.name), least.get(field.name)
        if low is None:
            continue
        whole = field.type is int
        if not isinstance(value, Integral if whole else Real) or not low <= value < math.inf:
            kind = "a whole number" if whole else "a number"
            raise OptionError(f"{field.name}={value!r}; expected {kind} of {low} or more")


@dataclass(frozen=True)
class Stage:
    """Some epochs under one optimizer and one schedule.

    Parameters
    ----------
    epochs : int
        Passes over the training rows.
    optimizer : {"adamw", "adam", "sgd", "lion", "rmsprop", "radam", "adamax"}
    lr : float
        Highest learning rate.
    schedule : {"one_cycle", "cosine", "plateau", "noam", "linear", "constant"}
        Stepped every batch, except "plateau", which halves lr after 2 epochs without gain.
    weight_decay : float
    average : {"none", "swa", "ema"}
        Weights averaged over the epochs (swa) or steps (ema) of this stage.
    momentum : float
        Of sgd, below 1.
    sharpness, gap : float
        Radius of the neighbourhood whose worst gradient is followed (SAM), 0 for none; and how
        much its surrogate gap is closed (GSAM). A step then takes two passes.
    """

    epochs: int = 10
    optimizer: Literal["adamw", "adam", "sgd", "lion", "rmsprop", "radam", "adamax"] = "adamw"
    lr: float = 5e-3
    schedule: Literal["one_cycle", "cosine", "plateau", "noam", "linear", "constant"] = "one_cycle"
    weight_decay: float = 0.01
    average: Literal["none", "swa", "ema"] = "none"
    momentum: float = 0.9
    sharpness: float = 0.0
    gap: float = 0.0

    def __post_init__(self) -> None:
        _check_numbers(self, epochs=1, lr=0, weight_decay=0, momentum=0, sharpness=0, gap=0)
        if self.momentum >= 1:
            raise OptionError(f"momentum={self.momentum!r}; expected a number below 1")
        if self.lr == 0:
            raise OptionError("lr=0 learns nothing; expected more")


@dataclass(frozen=True)
class Recipe:
    """Stages, and what is done to the rows.

    Parameters
    ----------
    stages : tuple of Stage
    loss : str
        A name of `fastseq.learn.losses`, or "auto": bce for 0/1 labels, bins_kl for a head of
        bins, mse otherwise.
    batch_size : int
    strands : {"forward", "augment", "conjoined"}
        As given; each row on a random strand; or the mean of both strands in every step.
    shift : int
        Rows are moved by up to so many bp inside their flanks, unknown beyond them.
    label_noise : float
        Sd of Normal noise on the labels, in sd of the labels.
    tail_weight : float
        0: rows drawn evenly; 1: drawn so that every stretch of label values is met equally often.
    cluster_weight : float
        0: rows drawn evenly; 1: drawn so that every cluster of near-copies is met equally often.
    within : float
        Weight of a second loss, the squared error of differences inside clusters of near-copies:
        what single bases do. Needs rows with clusters.
    mask : float
        Share of bases read as unknown.
    auxiliary : {"none", "reconstruction", "mutation"}
        A second task of networks that have a head for it: which bases 5 % hidden ones are, or
        which 15 % of the bases of a copy are mutated. ``auxiliary_weight`` is its share.
    singleton : bool
        Training rows whose label is a whole number (one cell in the challenge) have the network's
        singleton channel at 1; it is 0 at validation and prediction.
    quantiles : bool
        After training, keep the distribution of the answers to the training rows in the model:
        ``predict(quantiles=True)`` then answers with places in it, from 0 to 1.
    regularise : str
        A name of `fastseq.learn.regularise`: none, noise, mixup, adversarial and so on.
    clip : float
        Largest gradient norm; 0 for none.
    patience : int
        Stop after so many epochs without a better validation figure; 0 for never.
    precision : {"float32", "bfloat16"}
        bfloat16 runs the network under torch's autocast; weights and loss stay float32.
    """

    stages: tuple[Stage, ...] = (Stage(),)
    loss: str = "auto"
    batch_size: int = 256
    strands: Literal["forward", "augment", "conjoined"] = "augment"
    shift: int = 0
    label_noise: float = 0.0
    tail_weight: float = 0.0
    cluster_weight: float = 0.0
    within: float = 0.0
    mask: float = 0.0
    auxiliary: Literal["none", "reconstruction", "mutation"] = "none"
    auxiliary_weight: float = 1.0
    singleton: bool = False
    quantiles: bool = False
    regularise: str = "none"
    clip: float = 1.0
    patience: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"

    def __post_init__(self) -> None:
        _check_numbers(
            self, batch_size=1, shift=0, label_noise=0, tail_weight=0, cluster_weight=0, within=0,
            mask=0, auxiliary_weight=0, clip=0, patience=0,
        )  # fmt: skip

    @property
    def epochs(self) -> int:
        """Epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def change(self, **values: Any) -> "Recipe":
        """Return the recipe with some fields changed; those of a stage change in every stage.

        ``epochs`` is shared out among the stages in proportion.

        Raises
        ------
        OptionError
            Neither a recipe nor a stage has such a field, or it cannot hold this value.
        """
        own, staged = ({field.name for field in fields(kind)} for kind in (Recipe, Stage))
        if unknown := values.keys() - own - staged:
            raise OptionError(
                f"a recipe has no {', '.join(sorted(unknown))}; it has "
                f"{', '.join(sorted((own | staged) - {'stages'}))}"
            )
        stages = self.stages
        if "epochs" in values:
            stages = _stretch(stages, replace(stages[0], epochs=values["epochs"]).epochs)
        inner = {name: value for name, value in values.items() if name in staged - {"epochs"}}
        stages = tuple(replace(stage, **inner) for stage in stages)
        outer = {name: value for name, value in values.items() if name in own}
        return replace(self, **{"stages": stages, **outer})

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def _stretch(stages: tuple[Stage, ...], epochs: int) -> tuple[Stage, ...]:
    """Return the stages with their epochs in the same proportions, ``epochs`` in all."""
    if epochs < len(stages):
        raise OptionError(f"epochs={epochs}; the recipe's {len(stages)} stages need one each")
    spare, total, ends = epochs - len(stages), sum(stage.epochs for stage in stages), [0]
    for at in range(len(stages)):
        before = sum(stage.epochs for stage in stages[: at + 1])
        ends.append(at + 1 + round(spare * before / total))
    return tuple(
        replace(stage, epochs=end - start) for stage, start, end in zip(stages, ends, ends[1:])
    )


RECIPES: dict[str, Recipe] = {
    # AdamW under one cycle: the shortest way to a good network on 10^4 .. 10^5 rows
    "default": Recipe(),
    # 10^4 .. 10^5 measured promoters, many of them near-copies: what a network lacks there is
    # regularisation, not epochs (benchmarks/results/learn.dream_mini.json)
    "promoters": Recipe(
        stages=(Stage(30, lr=5e-3, weight_decay=0.1),), loss="mse", shift=3, precision="bfloat16"
    ),
    # for the k-mer ridge and for trees, which meet every row at once
    "clusters": Recipe(loss="mse", cluster_weight=0.5),
    # D4's motif task, 14,000 rows of 200 bp: the small ResNet reaches a test AUROC of .97
    "motif": Recipe(stages=(Stage(4, lr=3e-3),), loss="bce", batch_size=128),
    # D2: AdamW until the validation stalls, then SGD at a tenth, weights averaged on a cosine
    "tum": Recipe(
        stages=(
            Stage(5, "adamw", 1e-3, "plateau", 1e-3),
            Stage(5, "sgd", 1e-4, "plateau", 1e-3),
            Stage(5, "sgd", 1e-4, "cosine", 1e-3, average="swa"),
        ),
        loss="mse",
        label_noise=0.05,
        tail_weight=0.25,
    ),
    # LegNet, and the DREAM-CNN and -RNN built after it
    "autosome": Recipe(
        stages=(Stage(80, "adamw", 5e-3, "one_cycle", 0.01),),
        loss="bins_kl",
        batch_size=1024,
        singleton=True,
    ),
    "legnet_optimized": Recipe(
        stages=(Stage(80, "lion", 5e-4, "one_cycle", 0.1),),
        loss="bins_kl",
        batch_size=1024,
        singleton=True,
        precision="bfloat16",
    ),
    "legnet_mpra": Recipe(
        stages=(Stage(25, "adamw", 0.01, "one_cycle", 0.1),), loss="mse", batch_size=1024, shift=21
    ),
    "bhi": Recipe(
        stages=(Stage(15, "adamw", 1.5e-3, "cosine", 0.01),),
        loss="huber",
        batch_size=512,
        strands="conjoined",
        quantiles=True,
    ),
    "camformers": Recipe(
        stages=(Stage(34, "adamw", 1e-3, "plateau", 1e-3),),
        loss="l1",
        strands="forward",
        patience=10,
    ),
    "wztr": Recipe(
        stages=(Stage(30, "adam", 1e-3, "plateau", 0.0),),
        loss="mse",
        batch_size=512,
        strands="forward",
        patience=5,
    ),
    "dream_attn": Recipe(
        stages=(Stage(80, "adamw", 1e-3, "one_cycle", 0.01),),
        loss="bins_kl",
        batch_size=1024,
        singleton=True,
    ),
    # labels between .001 and .999 by the head's affine map
    "mt": Recipe(
        stages=(Stage(11, "adam", 1e-3, "constant", 0.0),),
        loss="bce",
        batch_size=1005,
        strands="forward",
    ),
    "vaishnav": Recipe(
        stages=(Stage(100, "rmsprop", 1e-3, "constant", 0.0),),
        loss="mse",
        batch_size=1024,
        strands="forward",
    ),
    "deepromoter": Recipe(
        stages=(Stage(1000, "adam", 1e-5, "constant", 0.0),),
        loss="bce",
        batch_size=64,
        strands="forward",
        patience=100,
    ),
    # the authors' files of sequences hold both strands of each
    "deepstarr": Recipe(
        stages=(Stage(100, "adam", 2e-3, "constant", 0.0),),
        loss="mse",
        batch_size=128,
        patience=10,
        clip=0.0,
    ),
    # of profiles (loss "profile", counts weighing 10) or of log counts alone (mse)
    "bpnet": Recipe(
        stages=(Stage(100, "adam", 4e-3, "constant", 0.0),), batch_size=128, patience=5, clip=0.0
    ),
    # of stretches of coverage, the authors' human network
    "basenji": Recipe(
        stages=(Stage(500, "sgd", 0.15, "constant", 0.0, momentum=0.99),),
        loss="poisson",
        batch_size=4,
        shift=3,
        patience=16,
        clip=2.0,
    ),
    "unlock_dna": Recipe(
        stages=(Stage(20, "adam", 1e-3, "noam", 0.0),),
        loss="mse",
        batch_size=512,
        strands="forward",
        auxiliary="reconstruction",
        clip=1.0,
    ),
    "nad": Recipe(
        stages=(Stage(50, "adamw", 2e-4, "linear", 0.05, sharpness=0.1, gap=0.05),),
        loss="smooth_l1",
        batch_size=2048,
        strands="forward",
        label_noise=0.25,
        quantiles=True,
    ),
    "high_schoolers": Recipe(
        stages=(
            Stage(750, "adam", 1e-4, "constant", 0.0, average="swa"),
            Stage(100, "adam", 3e-5, "constant", 0.0, average="swa"),
        ),
        loss="mse",
        batch_size=1024,
        quantiles=True,
    ),
    "bionml": Recipe(
        stages=(
            Stage(50, "adamax", 1e-3, "constant", 0.0),
            Stage(5, "adamax", 1e-4, "plateau", 0.0),
        ),
        loss="huber",
        batch_size=512,
        strands="forward",
        tail_weight=0.5,
    ),
    "bugf": Recipe(
        stages=(Stage(15, "radam", 5e-4, "constant", 0.0),),
        loss="focal",
        batch_size=256,
        strands="forward",
        auxiliary="mutation",
    ),
    "esm": Recipe(
        stages=(Stage(10, "adamw", 2e-5, "linear", 0.01),), batch_size=32, strands="forward"
    ),
}  # fmt: skip


def recipe(name: "str | Recipe", **changes: Any) -> Recipe:
    """Return a recipe by name, with fields changed.

    Raises
    ------
    OptionError
        No such recipe or field.

    Examples
    --------
    >>> recipe("default", lr=1e-3, epochs=3).stages[0].lr
    0.001
    """
    if isinstance(name, Recipe):
        return name.change(**changes)
    if name not in RECIPES:
        raise OptionError(f"recipe={name!r}; expected one of {', '.join(RECIPES)}")
    return RECIPES[name].change(**changes)
