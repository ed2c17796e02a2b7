"""What every single-base change of a sequence does: saturation mutagenesis."""

from collections.abc import Sequence
from os import PathLike
from typing import Any, Literal, overload

import numpy as np
import torch

from fastseq.arrays import Text
from fastseq.io.map_shards import SHARD
from fastseq.lower.ensemble import Runnable
from fastseq.lower.plan import Engine, Precision
from fastseq.models.specs import OutputScale
from fastseq.run.stream import blocks
from fastseq.score.explained import ISMResult
from fastseq.score.journey import BLOCK, Journey, Reduce, Running
from fastseq.score.predict import as_rows
from fastseq.score.sharded import check_output, shard_maps
from fastseq.sequence.edits import Edits


@overload
def saturation_mutagenesis(
    model: Runnable | Sequence[Runnable], seqs: Text, *, output: str | PathLike[str], **options: Any
) -> dict[str, Any]: ...
@overload
def saturation_mutagenesis(
    model: Runnable | Sequence[Runnable], seqs: Text, **options: Any
) -> ISMResult: ...
def saturation_mutagenesis(  # pyright: ignore[reportInconsistentOverload] - these are the options
    model: Runnable | Sequence[Runnable],
    seqs: Text,
    *,
    start: int | None = None,
    end: int | None = None,
    engine: Engine | Literal["auto"] = "auto",
    scale: OutputScale = "output",
    reduce: Literal["sum", "mean"] | Reduce | None = None,
    task: int | str | None = None,
    strands: Literal["forward", "both"] = "forward",
    shifts: Sequence[int] = (0,),
    output: str | PathLike[str] | None = None,
    names: Sequence[str] | None = None,
    resume: bool = False,
    shard: int = SHARD,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    precision: Precision | None = None,
    progress: bool = False,
) -> ISMResult | dict[str, Any]:
    """Return the effect of every single-base substitution in a span of each sequence.

    Mutants of many sequences share a micro-batch.

    Parameters
    ----------
    model : nn.Module, checkpoint path, Plan, or a list of these
    seqs : text, list of text, S / U / object / uint8 array
        All of one length, full or variable, as for `fastseq.predict`.
    start, end : int, optional
        Span to mutate, 0-based, half-open, counted in what is given. By default the variable
        part: the flanks of a full-length construct are mutated only when the span says so.
    engine : {"auto", "incremental", "full"}
        "full" runs the whole model for each mutant, "incremental" carries differences through
        it; both are exact, and "auto" takes the faster.
    scale : {"output", "logit"}
        "logit" takes effects on the score before the activation.
    reduce : {"sum", "mean"} or callable, optional
        How a profile model's positions become one number, (..., positions) -> (...).
    task : int or str, optional
        The only answer to keep, of a model that gives several.
    output : path-like, optional
        A folder for .npz shards, or a Zarr group by its ending .zarr: a set of any size is
        written as it is made, to the same bits, and `fastseq.io.map_shards` reads it back.
    names : sequence of str, optional
        Of the sequences, for ``output``; numbers where not given.
    resume : bool
        Go on with the run that ``output`` holds.
    shard : int
        Sequences in a shard, a multiple of 64; one shard's effects are in memory at a time.
    strands, shifts, batch_size, device, precision, progress
        As for `fastseq.predict`.

    Returns
    -------
    ISMResult, or with ``output`` its manifest

    Raises
    ------
    LengthError, SequenceError, ModelError
        As for `fastseq.predict`.
    OptionError
        The span leaves the sequence, or a profile model has no ``reduce``; ``output`` is the name
        of one file.
    ResumeError
        ``output`` holds another run, or this one and ``resume`` is false.
    UnreadableFileError
        ``output`` cannot be written.
    PrecisionError
        A reduced precision drowns the effects of the first block.

    Notes
    -----
    At an unknown base the four edits are measured against the model's N; the attribution there
    is 0 and `ISMResult.unknown` is true.

    Examples
    --------
    >>> import torch
    >>> head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 1))
    >>> saturation_mutagenesis(head, "ACGT").effect.shape
    (1, 1, 4, 4)
    """
    check_output(output, names, resume, shard)
    codes = as_rows(seqs)
    running = Running(
        engine=engine, scale=scale, reduce=reduce, task=task, strands=strands, shifts=shifts,
        batch_size=batch_size, device=device, precision=precision,
    )  # fmt: skip
    journey = Journey(model, codes, 3, running, span=(start, end))
    tasks, first, last = journey.tasks, journey.start, journey.end

    def mutate(rows: slice, progress: bool) -> ISMResult:
        part = codes[rows]
        y_ref = np.empty((len(part), len(tasks)), np.float32)
        effect = np.zeros((len(part), len(tasks), 4, last - first), np.float32)
        for block in blocks(len(part), BLOCK, progress=progress, label="mutate"):
            edits = Edits.substitutions(part[block], first, last)
            whole = slice(rows.start + block.start, rows.start + block.stop)
            y_ref[block], deltas = journey.effects(whole, edits)
            effect[block][edits.row, :, edits.inserted, edits.start - first] = deltas
        return ISMResult(part, first, last, tasks, y_ref, effect, journey.precision)

    if output is None:
        return mutate(slice(0, len(codes)), progress)
    return shard_maps(
        output, codes, journey.plans, lambda rows, named: mutate(rows, False).maps(named),
        {"method": "ism", "tasks": list(tasks), "start": first, "end": last, **journey.about()},
        names=names, shard=shard, resume=resume, progress=progress,
    )  # fmt: skip
