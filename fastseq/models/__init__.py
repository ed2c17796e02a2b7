"""Networks and trees by name, what goes into them and what their numbers mean."""

from typing import TYPE_CHECKING

from fastseq._lazy import attach

if TYPE_CHECKING:
    from fastseq.models.checkpoints import load as load
    from fastseq.models.checkpoints import save as save
    from fastseq.models.registry import build as build
    from fastseq.models.registry import list as list
    from fastseq.models.specs import InputSpec as InputSpec
    from fastseq.models.specs import TargetSpec as TargetSpec
else:
    __getattr__, __dir__, __all__ = attach(
        __name__,
        {
            "registry": ["build", "list"],
            "checkpoints": ["save", "load"],
            "specs": ["InputSpec", "TargetSpec"],
        },
    )
