"""The questions: predict, mutate, attribute, score variants, compare."""
