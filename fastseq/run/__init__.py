"""Blocks of sequences in, plan, reduced blocks out."""
