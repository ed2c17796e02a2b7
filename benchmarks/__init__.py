"""Figures beside their rivals: tiny under pytest, at full size by ``python -m benchmarks.run``."""
