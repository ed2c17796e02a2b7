"""A module becomes a plan: one runnable, explainable form of a trained model."""
