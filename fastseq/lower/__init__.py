"""A module becomes a plan: one runnable, explainable form of a trained model."""

from typing import TYPE_CHECKING

from fastseq._lazy import also_verb, attach

if TYPE_CHECKING:
    from fastseq.lower.plan import Plan as Plan
    from fastseq.lower.plan import lower as lower
else:
    __getattr__, __dir__, __all__ = attach(__name__, {"plan": ["Plan", "lower"]})

also_verb(__name__)
