"""Networks and trees by name, what goes into them and what their numbers mean."""
