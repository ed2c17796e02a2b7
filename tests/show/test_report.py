import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from fastseq import show
from fastseq.errors import UnreadableFileError
from fastseq.show.report import Section, page, report

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


CLICKS = """
<script>
const input = document.querySelector(".filter input");
const buttons = document.querySelectorAll("th button");
const firsts = () => [...document.querySelectorAll("tbody tr td:first-child")];
const ids = () => firsts().map((cell) => cell.textContent);
const seen = [];
buttons[1].click(); seen.push(ids().join(" "));
buttons[2].click(); buttons[2].click(); seen.push(ids().join(" "));
for (const text of ["diff<1", "pos>3 d", "id=b", "nothing"]) {
  input.value = text; input.dispatchEvent(new Event("input")); seen.push(ids().join(" "));
}
document.title = seen.join("|");
</script>
"""


LONG = """
<script>
const body = document.querySelector("tbody"), box = document.querySelector(".rows");
const first = () => body.rows[0].cells[0].textContent;
const seen = [document.querySelector(".filter .note").textContent, body.rows.length, first()];
document.querySelector("th button").click();
document.querySelector("th button").click();
seen.push(first());
box.scrollTop = box.scrollHeight;
box.dispatchEvent(new Event("scroll"));
seen.push(body.rows.length);
document.title = seen.join("|");
</script>
"""


def title_after(path, script, profile):
    """Return the title of a page once Chromium has run a script at its end."""
    path.write_text(path.read_text().replace("</body>", script + "</body>"))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    done = subprocess.run(
        [*command, f"--user-data-dir={profile}", path.as_uri()],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    (title,) = re.findall("<title>(.*)</title>", done.stdout)
    return title


browser = pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's chromium")


@browser
def test_thousands_of_rows_are_drawn_as_they_are_scrolled_to(tmp_path):
    table = {"x": np.arange(4000)[::-1], "y": np.zeros(4000)}
    path = report(tmp_path / "report.html", "t", [Section("s", tables=[("c", table)])])
    title = title_after(path, LONG, tmp_path / "profile")
    assert title == "4,000 of 4,000 rows|200|3999|3999|400"


@browser
def test_tables_sort_and_filter_in_a_browser(tmp_path):
    path = report(tmp_path / "report.html", "t", SECTIONS)
    title = title_after(path, CLICKS, tmp_path / "profile")
    third = "&lt;i&gt;c&lt;/i&gt;"
    # by position upwards; by effect downwards, what is missing last; then four filters
    assert title.split("|") == [f"a d b {third}", f"d a b {third}", "a b", "d", "b", ""]
