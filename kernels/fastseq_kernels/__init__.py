"""GPU ops in Triton, one file per op; each module is imported by name and imports torch."""
