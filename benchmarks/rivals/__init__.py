"""The best other ways, one file a peer, configured as its author would."""

import sys
from importlib import import_module
from types import ModuleType


def optional(name: str) -> ModuleType | None:
    """Return a rival's module, or None (said on stderr) where the peer is not installed."""
    try:
        return import_module(f"benchmarks.rivals.{name}")
    except ImportError as error:
        print(f"no rival {name}: {error}", file=sys.stderr)
        return None
