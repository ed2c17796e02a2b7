"""Edits one at a time, on Python lists: plain, and never fast."""


def edited_window(row, start, removed, inserted, left, length):
    """Return the codes a model sees after one edit; bases behind it move, then 4 refills."""
    changed = [*row[:start], *inserted, *row[start + removed :]]
    return [changed[i] if 0 <= i < len(changed) else 4 for i in range(left, left + length)]


def all_substitutions(rows, start, end):
    """Return (row, position, letter) of every single-base change."""
    return [
        (number, position, letter)
        for number, row in enumerate(rows)
        for position in range(start, end)
        for letter in range(4)
        if row[position] != letter
    ]
