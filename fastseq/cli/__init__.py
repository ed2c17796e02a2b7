"""The verbs at a prompt: a file is a verb, ``verb_thing.py`` its part; several use shared/."""
