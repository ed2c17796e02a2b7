import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from fastseq import show
from fastseq._lazy import load
from fastseq.errors import UnreadableFileError
from fastseq.show.report import Section, page, report
from tests.show.browser import BROWSER, browser

TABLE = {
    "id": np.array(["a", "b", "<i>c</i>", "d"], object),
    "pos": np.array([3, 20, 100, 4]),
    "diff": np.array([0.25, -1.0, np.nan, 123456.789]),
}
CURVE = show.training_curve({"loss": [2.0, 1.0]})
SECTIONS = [
    Section("Learning", "It learned.\n\nSlowly.", figures=[("A curve", CURVE)]),
    Section("Variants", tables=[("All of them.", TABLE)]),
]


class Cells(HTMLParser):
    """Collects the text of table cells, row by row, and every address a page would fetch."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.addresses, self.cell = [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self.cell = tag in ("td", "th")
        names = ("src", "href", "xlink:href", "srcset", "action")
        self.addresses += [value for name, value in attrs if name in names]

    def handle_data(self, text):
        if self.cell:
            self.rows[-1][-1] += text.strip()


def test_a_page_is_whole_without_network_or_script():
    html = page("A title & more", SECTIONS, facts=[("AUROC", 0.97123), ("n", 20000)])
    assert "<title>A title &amp; more</title>" in html
    assert "<dd>0.9712</dd>" in html
    assert "<p>Slowly.</p>" in html
    assert 'aria-label="A curve"' in html
    without_script = re.sub(r"<script>.*</script>", "", html, flags=re.S)
    cells = Cells(without_script)
    assert cells.rows == [
        ["id", "pos", "diff"],
        ["a", "3", "0.25"],
        ["b", "20", "-1"],
        ["<i>c</i>", "100", ""],
        ["d", "4", "1.235e+05"],
    ]
    assert all(address.startswith(("#", "data:")) for address in cells.addresses)
    assert "url(http" not in html
    assert "@import" not in html


def test_a_long_table_is_cut_and_says_so():
    html = page("t", [Section("s", tables=[("c", {"x": np.arange(50)})])], most_rows=7)
    assert html.count("<td") == 7
    assert "The first 7 of 50 rows." in html


def test_a_report_replaces_its_file_whole(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    assert report(path, "t", SECTIONS) == path
    assert path.read_text().rstrip().endswith("</html>")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_report_without_its_folder_is_refused(tmp_path):
    with pytest.raises(UnreadableFileError, match="cannot be written: No such file"):
        report(tmp_path / "absent" / "report.html", "t", SECTIONS)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """Return a page of headless Chromium."""
    if not BROWSER:
        pytest.skip("needs Debian's chromium, or the path of a like browser in CHROMIUM")
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def path(tmp_path):
    return report(tmp_path / "report.html", "t", SECTIONS)


def ids(chromium):
    cells = "[...document.querySelectorAll('tbody tr td:first-child')]"
    return chromium.ask(f"{cells}.map((cell) => cell.textContent).join(' ')")


def test_tables_sort_and_filter_by_mouse_and_keyboard(chromium, path):
    chromium.open(path)
    chromium.click("th button", 1)
    assert ids(chromium) == "a d b <i>c</i>"
    chromium.click("th button", 2)
    chromium.click("th button", 2)
    # what is missing stands last either way
    assert ids(chromium) == "d a b <i>c</i>"
    assert chromium.ask("document.querySelectorAll('th')[2].ariaSort") == "descending"
    chromium.click(".filter input")
    for text, left in [("diff<1", "a b"), ("pos>3 d", "d"), ("id=b", "b"), ("nothing", "")]:
        chromium.type(text)
        assert ids(chromium) == left
    assert chromium.ask("document.querySelector('.filter .note').textContent") == "0 of 4 rows"


def test_thousands_of_rows_are_drawn_as_they_are_scrolled_to(chromium, tmp_path):
    table = {"x": np.arange(4000)[::-1], "y": np.zeros(4000)}
    chromium.open(report(tmp_path / "report.html", "t", [Section("s", tables=[("c", table)])]))
    rows = "document.querySelector('tbody').rows"
    assert chromium.ask(f"[{rows}.length, {rows}[0].cells[0].textContent]") == [200, "3999"]
    chromium.click("th button")
    assert chromium.ask(f"{rows}[0].cells[0].textContent") == "0"
    chromium.ask("(() => { const e = document.querySelector('.rows'); e.scrollTop = 1e6; })()")
    # the scroll is heard with the next frame
    chromium.ask("new Promise((done) => setTimeout(done, 200))")
    assert chromium.ask(f"{rows}.length") >= 400


def test_a_page_is_light_or_dark_as_its_reader(chromium, path):
    image = load("PIL.Image")
    brightness = {}
    for media in ("light", "dark"):
        chromium.open(path, media=media)
        drawn = np.asarray(image.open(io.BytesIO(chromium.screenshot())).convert("L"), float)
        brightness[media] = float(np.median(drawn))
        # text and curves stand out from the page
        assert np.ptp(drawn) > 150
        assert (abs(drawn - brightness[media]) > 60).mean() > 0.005
    assert brightness["light"] > 240
    assert brightness["dark"] < 40


def test_a_page_prints_in_light_without_its_tools(chromium, path):
    chromium.open(path, media="dark")
    assert chromium.pdf().startswith(b"%PDF")
    chromium.call("Emulation.setEmulatedMedia", media="print")
    shown = chromium.ask(
        "[getComputedStyle(document.body).backgroundColor,"
        "getComputedStyle(document.querySelector('.filter')).display]"
    )
    chromium.call("Emulation.setEmulatedMedia", media="")
    assert shown == ["rgb(255, 255, 255)", "none"]


def test_without_scripts_every_row_is_in_the_page(chromium, path):
    chromium.call("Emulation.setScriptExecutionDisabled", value=True)
    chromium.open(path)
    chromium.call("Emulation.setScriptExecutionDisabled", value=False)
    assert ids(chromium) == "a b <i>c</i> d"
