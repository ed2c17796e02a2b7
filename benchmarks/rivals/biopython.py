"""Biopython: the melting temperature of one sequence at a time."""

from Bio.SeqUtils import MeltingTemp


def melting_temperature(texts):
    """Return the temperatures of str."""
    return [MeltingTemp.Tm_NN(text) for text in texts]
