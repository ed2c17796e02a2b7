"""A module becomes a plan: one runnable, explainable form of a trained model."""

import sys
from types import ModuleType

from fastseq._lazy import load


class _Room(ModuleType):
    """The room is also its verb: ``fastseq.lower(model, length=110)``."""

    def __call__(self, *args, **options):
        return load("fastseq.lower.plan").lower(*args, **options)


sys.modules[__name__].__class__ = _Room
