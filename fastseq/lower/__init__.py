"""A module becomes a plan: one runnable, explainable form of a trained model."""

from typing import TYPE_CHECKING

from fastseq._lazy import also_verb, attach

if TYPE_CHECKING:
    from fastseq.lower.ensemble import lower as lower
    from fastseq.lower.plan import Plan as Plan
else:
    __getattr__, __dir__, __all__ = attach(__name__, {"ensemble": ["lower"], "plan": ["Plan"]})

also_verb(__name__)
