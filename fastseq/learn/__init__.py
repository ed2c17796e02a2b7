"""Data, augmentation, losses, recipes, the training loop, evaluation."""
