"""The Triton kernels: what a program takes of a GPU, how close answers come, how fast they run."""
