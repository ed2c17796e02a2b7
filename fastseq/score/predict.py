"""What a model says of sequences: no edits, averaged views."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from fastseq.arrays import Codes, Text
from fastseq.errors import LengthError, OptionError
from fastseq.lower.ensemble import Runnable, lower_all
from fastseq.lower.plan import Precision
from fastseq.models.specs import OutputScale
from fastseq.run import views as viewed
from fastseq.run.stream import blocks
from fastseq.run.views import Views
from fastseq.sequence.encode import encode

# rows handed over at once: progress moves, and 4,096 answers of any size fit in memory
BLOCK = 4096


def as_rows(seqs: Text) -> Codes:
    """Return sequences as code rows, uint8 (n, length); a single sequence is one row.

    Raises
    ------
    SequenceError
        A letter outside IUPAC. Ambiguity codes, - and . are unknown bases.
    LengthError
        The sequences differ in length: a model takes one length, and padding is never silent. Or
        there is none.
    """
    codes = encode(seqs, unknown="iupac")
    if not codes.shape[-1]:
        raise LengthError("there are no bases; expected at least one sequence, and none empty")
    if codes.ndim == 1:
        return codes[None]
    if not (isinstance(seqs, np.ndarray) and seqs.dtype.kind == "u"):
        lengths = np.fromiter(map(len, seqs), np.int64, len(codes))
        if (odd := np.flatnonzero(lengths != lengths[:1])).size:
            raise LengthError(
                f"row {odd[0]} is {lengths[odd[0]]} bp long, row 0 is {lengths[0]} bp; a model "
                "takes one length (trim them, or encode them yourself with pad= and length=)"
            )
    return codes


def predict(
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    *,
    strands: Literal["forward", "both"] = "forward",
    shifts: Sequence[int] = (0,),
    scale: OutputScale = "output",
    quantiles: bool = False,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: Precision | None = None,
    progress: bool = False,
) -> NDArray[np.float32]:
    """Return the model's answers for sequences, averaged over models, strands and shifts.

    Parameters
    ----------
    model : nn.Module, checkpoint path, Plan, or a list of these
        A list is an ensemble, averaged.
    seqs : text, list of text, S / U / object / uint8 array
        All of one length: the model's full length, or its variable part, which is then placed
        inside its constant flanks.
    strands : {"forward", "both"}
    shifts : sequence of int
        Window offsets in bp. Bases that a shift draws in are the construct's flanks, then N.
    scale : {"output", "logit"}
        "logit" stops before the activation and the affine map.
    quantiles : bool
        Answer with the place, 0 to 1, of each answer among those to the training rows, which a
        model trained with ``quantiles=True`` has kept.
    batch_size : int, optional
        Sequences run at once. Part of the last digits: other sizes may round differently.
    device : str or torch.device, optional
    precision : {"float32", "bfloat16"}, optional
    progress : bool

    Returns
    -------
    float32, (n,) for one task, else (n, tasks) or (n, tasks, positions)

    Raises
    ------
    LengthError
        The sequences differ in length, or the model takes another length.
    SequenceError
        A letter outside IUPAC, or a full-length sequence without the model's constant flanks.
    ModelError, OptionError
        As `fastseq.lower`.

    Examples
    --------
    >>> import torch
    >>> head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1))
    >>> predict(head, ["ACGT", "TTTT"]).shape
    (2,)
    """
    codes = as_rows(seqs)
    views = Views(strands, tuple(shifts))
    views.check_reach(codes.shape[1])
    options = {"device": device, "precision": precision, "batch_size": batch_size}
    plans = lower_all(model, length=codes.shape[1], sequences=len(codes) * views.count, **options)
    views.warn_untrained_strands(plans)
    if quantiles and (len(plans) > 1 or scale == "logit"):
        raise OptionError("quantiles=True is for one model and scale='output'")
    spec = plans[0].input_spec
    variable = spec.variable_part(codes)
    out = np.empty((len(codes), *plans[0].answer_shape), np.float32)
    for block in blocks(len(codes), BLOCK, progress=progress, label="predict"):
        rows = spec.with_margins(variable[block], views.reach)
        out[block] = viewed.predict(
            plans, rows, views, left=views.reach, length=spec.variable, scale=scale
        )
    if quantiles:
        out = plans[0].target_spec.rank(out)
    return out[:, 0] if out.ndim == 2 and out.shape[1] == 1 else out
