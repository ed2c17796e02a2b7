"""Results become one page: a self-contained HTML file that needs no network and no JavaScript."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastseq._lazy import load
from fastseq.io.files import write_bytes
from fastseq.show.canvas import Table, columns_of, to_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_ROWS = 5_000


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Attributes
    ----------
    title : str
    text : str
        Paragraphs, separated by empty lines; plain text.
    figures : sequence of (caption, Figure)
    tables : sequence of (caption, table)
        DataFrames, dicts of columns or lists of rows, in the order to show.
    """

    title: str
    text: str = ""
    figures: "Sequence[tuple[str, Figure]]" = ()
    tables: Sequence[tuple[str, Table]] = field(default=())


def report(
    path: str | os.PathLike[str],
    title: str,
    sections: Iterable[Section],
    *,
    facts: Sequence[tuple[str, object]] = (),
    most_rows: int = MOST_ROWS,
) -> Path:
    """Write one HTML file with all figures and tables inside, and return its path.

    Parameters
    ----------
    path : path
        A half-written page never has it; ``-`` is standard output.
    title : str
    sections : iterable of Section
    facts : sequence of (name, value)
        The few numbers to see first.
    most_rows : int
        Longer tables are cut there, and the page says so.

    Raises
    ------
    UnreadableFileError
        The folder is missing or cannot be written.

    Notes
    -----
    A table stays a plain HTML table; where scripts run, a short one adds sorting and a filter, and
    keeps only the rows near the eye in the page.
    Pages follow the reader's light or dark setting and print in light.
    """
    html = page(title, sections, facts=facts, most_rows=most_rows)
    write_bytes(path, html.encode())
    return Path(path)


def page(
    title: str,
    sections: Iterable[Section],
    *,
    facts: Sequence[tuple[str, object]] = (),
    most_rows: int = MOST_ROWS,
) -> str:
    """Return the HTML of a report as text."""
    jinja2 = load("jinja2")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(
        files("fastseq.show").joinpath("report.jinja").read_text(encoding="utf-8")
    )
    return template.render(
        title=title,
        facts=[(name, _cell(value)) for name, value in facts],
        sections=[
            {
                "id": f"section-{number}",
                "title": section.title,
                "paragraphs": [part for part in section.text.split("\n\n") if part.strip()],
                "figures": [
                    (caption, figure.get_size_inches()[0] * 72, _svg(caption, figure))
                    for caption, figure in section.figures
                ],
                "tables": [_table(caption, table, most_rows) for caption, table in section.tables],
            }
            for number, section in enumerate(sections, 1)
        ],
    )


def _svg(caption: str, figure: "Figure") -> str:
    """Return a figure as SVG that scales with the page and tells a screen reader its caption."""
    markup = load("markupsafe")
    width, height = figure.get_size_inches() * 72
    opening = markup.Markup('<svg role="img" aria-label="{}" ')
    body = to_svg(figure).removeprefix("<svg ")
    for size in (f'height="{height:g}pt" ', f'width="{width:g}pt" '):
        body = body.replace(size, "", 1)
    return opening.format(caption) + markup.Markup(body)


def _table(caption: str, table: Table, most_rows: int) -> dict[str, object]:
    columns = columns_of(table)
    length = max((len(values) for values in columns.values()), default=0)
    cells = [[_cell(value) for value in values[:most_rows]] for values in columns.values()]
    return {
        "caption": caption,
        "cut": f"The first {most_rows:,} of {length:,} rows." if length > most_rows else "",
        "names": list(columns),
        "numeric": [values.dtype.kind in "iuf" for values in columns.values()],
        "rows": list(zip(*cells)),
    }


def _cell(value: object) -> str:
    """Return a value as a reader wants it: four digits, nothing for what is missing."""
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return ""
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return str(value)
