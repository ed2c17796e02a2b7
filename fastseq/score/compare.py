"""Two tables of variant scores joined row by row, and where and how they disagree."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from fastseq._lazy import load
from fastseq.errors import TableError
from fastseq.io.manifest import MANIFEST, read_manifest
from fastseq.io.results import read_results
from fastseq.io.tables import read_table

if TYPE_CHECKING:
    import pandas as pd

    Table = pd.DataFrame | str | PathLike[str]

KEYS = ["chrom", "pos", "ref", "alt"]
# columns that other tools write, in the order of preference
SCORES = ("diff", "log2fc", "score", "effect", "logfc", "coefficient")
COMPLEMENT = str.maketrans("ACGTacgt", "TGCATGCA")
# disagreement of a class stands out when its correlation is lower than the best by this much
APART = 0.02


REASONS = {
    "normalised": "agree after normal form only: one table is not left-aligned or trimmed",
    "swapped": "have REF and ALT exchanged: one table takes another allele as the reference",
    "complement": "have complementary alleles: one table is written on the other strand",
    "chr prefix": "differ in the chr prefix of the contig",
    "pos + 1": "stand one base further in B: a 0-based and a 1-based table",
    "pos - 1": "stand one base earlier in B: a 0-based and a 1-based table",
}
SLOPES = (
    (np.log(2), "b is ln 2 times a: one is a natural, the other a binary logarithm"),
    (1 / np.log(2), "b is a / ln 2: one is a natural, the other a binary logarithm"),
    (0.5, "b is half of a: perhaps averaged with a view that one table lacks"),
    (-1.0, "b is -a: one table is REF minus ALT"),
)
CAUSES = {
    "insertion": ": haplotypes are refilled or aligned in another way",
    "deletion": ": haplotypes are refilled (genome or N) or aligned in another way",
    "MNV": ": one table may score the first base only",
    "padded": ": windows beyond a contig's end are filled in another way",
    "n_in_window": ": unknown bases are encoded in another way",
    "left_shifted": ": one table centres its window on POS as written",
    "SNV": ": another anchor (L//2 or L//2-1), strand average, window or model",
}
# what two runs of ours may have been told differently, as their manifests hold it
SETTINGS = {
    "models": "models", "genome": "genomes", "length": "window length", "anchor": "anchor",
    "strands": "strands", "shifts": "shifts", "normalize": "normalisation", "scale": "scale",
    "on_ref_mismatch": "treatment of a wrong REF", "indel": "treatment of indels",
    "reduce": "reduction of profiles", "tile": "tile", "precision": "precision",
}  # fmt: skip
FORMS = (str.lower, str.upper, str.capitalize)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Scores of two tables for the variants that both hold.

    Attributes
    ----------
    joined : DataFrame
        chrom pos ref alt (as in A), a, b, ``how`` rows were joined ("same", "normalised",
        "swapped", "complement", "chr prefix", "pos + 1", "pos - 1") and ``kind`` (SNV, MNV,
        insertion, deletion). Where REF and ALT are swapped, b stands with its sign turned.
    only_a, only_b : int
        Rows that found no partner.
    classes : DataFrame
        For all rows and for each kind, flag and way of joining: rows, pearson, spearman, slope of
        b over a, share of equal signs, median |a - b|.
    settings : dict of str to tuple
        What both are known to have been told differently: the values of A and of B.
    """

    joined: "pd.DataFrame"
    only_a: int
    only_b: int
    classes: "pd.DataFrame"
    settings: dict[str, tuple]

    def explain(self) -> str:
        """Return what differs and what is likely to be behind it, one line each."""
        if not len(self.joined):
            return (
                f"no variant in common ({self.only_a:,} rows in A, {self.only_b:,} in B): other "
                "contig names, another assembly, or other columns?"
            )
        whole = self.classes.loc["all"]
        lines = [
            f"{len(self.joined):,} rows joined, {self.only_a:,} only in A, {self.only_b:,} only in "
            f"B; Pearson {whole.pearson:.4f}, Spearman {whole.spearman:.4f}, slope "
            f"{whole.slope:.4g}, {whole.same_sign:.1%} equal signs, median |a - b| "
            f"{whole.apart:.3g}"
        ]
        for name, (one, two) in self.settings.items():
            files = name in ("models", "genomes")
            lines.append(f"other {name}" if files else f"other {name}: {one} in A, {two} in B")
        ways = self.joined.how.value_counts()
        lines += [f"{count:,} rows {REASONS[way]}" for way, count in ways.items() if way in REASONS]
        tight = abs(whole.pearson) > 0.99
        lines += [text for slope, text in SLOPES if tight and abs(whole.slope / slope - 1) < 0.01]
        best = self.classes.pearson.max()
        for name, row in self.classes.drop("all").iterrows():
            if row.pearson < best - APART and row.rows >= 20:
                cause = CAUSES.get(str(name), "")
                lines.append(f"{name}: Pearson {row.pearson:.4f} over {row.rows:,.0f} rows{cause}")
        return "\n".join(lines)


def compare(
    a: "Table",
    b: "Table",
    *,
    column_a: str | None = None,
    column_b: str | None = None,
) -> Comparison:
    """Return two tables of variant scores joined on chromosome, position, REF and ALT.

    Rows without a partner are tried again by the normal form, with REF and ALT exchanged, on the
    other strand, with or without ``chr``, and one base to either side; each way is reported.

    Parameters
    ----------
    a, b : DataFrame, table file, or folder of results
        Columns chrom, pos, ref, alt in any case, and a score.
    column_a, column_b : str, optional
        The score; otherwise the first of diff, log2fc, score, effect.

    Raises
    ------
    TableError
        A table has no such columns.
    MissingFileError, FormatError
        A file cannot be read.
    """
    left, right = _table(a, column_a, "A"), _table(b, column_b, "B")
    pieces = []
    for way in ("same", "normalised", "swapped", "complement", "chr prefix", "pos + 1", "pos - 1"):
        forms = "norm_pos" in left or "norm_pos" in right
        if not len(left) or not len(right) or (way == "normalised" and not forms):
            continue
        found = _keys(left, way, first=True).merge(
            _keys(right, way, first=False), on=KEYS, suffixes=("_a", "_b")
        )
        found = found.drop_duplicates("row_a").drop_duplicates("row_b")
        if not len(found):
            continue
        one, two = left.loc[found.row_a], right.loc[found.row_b]
        piece = one[[*KEYS, "flags"]].assign(row=found.row_a.to_numpy(), a=one.value, how=way)
        piece["b"] = two.value.to_numpy() * (-1 if way == "swapped" else 1)
        pieces.append(piece)
        left, right = left.drop(found.row_a), right.drop(found.row_b)
    pandas = load("pandas")
    empty = left.head(0)[[*KEYS, "flags"]].assign(row=[], a=[], how=[], b=[])
    joined = pandas.concat(pieces) if pieces else empty
    joined = joined.sort_values("row").drop(columns="row").reset_index(drop=True)
    sizes = joined.ref.str.len().to_numpy(), joined.alt.str.len().to_numpy()
    joined["kind"] = np.select(
        [(sizes[0] == 1) & (sizes[1] == 1) & (joined.alt != "-"), sizes[0] == sizes[1],
         sizes[0] < sizes[1]],
        ["SNV", "MNV", "insertion"], "deletion",
    )  # fmt: skip
    joined.loc[joined.alt.isin(["-", ""]), "kind"] = "deletion"
    settings = _settings(_identity(a), _identity(b))
    kept = joined.drop(columns="flags")
    return Comparison(kept, len(left), len(right), _classes(joined), settings)


def _identity(source: "Table") -> dict:
    """Return what a folder of ours says its run was, of anything else nothing."""
    if isinstance(source, (str, PathLike)) and Path(source, MANIFEST).exists():
        return read_manifest(source).get("identity", {})
    return {}


def _settings(one: dict, two: dict) -> dict[str, tuple]:
    both = [key for key in SETTINGS if key in one and key in two and one[key] != two[key]]
    return {SETTINGS[key]: (one[key], two[key]) for key in both}


def _table(
    source: "pd.DataFrame | str | PathLike[str]", column: str | None, name: str
) -> "pd.DataFrame":
    pandas = load("pandas")
    if isinstance(source, (str, PathLike)):
        name = str(source)
        if Path(source, MANIFEST).exists():
            source = read_results(source)
        else:
            words = [form(word) for word in ("chrom", "ref", "alt") for form in FORMS]
            source = read_table(source, text=[*words, "#CHROM", "#chrom", "flags"])
    plain = {str(word).lstrip("#").lower(): word for word in reversed(source.columns)}
    if missing := [key for key in KEYS if key not in plain]:
        raise TableError(f"{name}: no column {', '.join(missing)}; it has {_listed(source)}")
    score = column or next((plain[word] for word in SCORES if word in plain), None)
    if score is None or score not in source.columns:
        raise TableError(
            f"{name}: no score {score or ', '.join(SCORES[:4])}; it has {_listed(source)} (name it)"
        )
    table = pandas.DataFrame({key: source[plain[key]].to_numpy() for key in KEYS})
    for key in ("chrom", "ref", "alt"):
        table[key] = table[key].astype(str)
    table["value"] = pandas.to_numeric(source[score], errors="coerce").to_numpy(np.float64)
    table["flags"] = source["flags"].fillna("").to_numpy() if "flags" in source else ""
    for key in ("norm_pos", "norm_ref", "norm_alt"):
        if key in source:
            table[key] = source[key].to_numpy()
    table = table[table.value.notna() & table.pos.notna()]
    return table.assign(pos=table.pos.astype(np.int64)).reset_index(drop=True)


def _listed(source: "pd.DataFrame") -> str:
    return ", ".join(map(str, source.columns))


def _keys(table: "pd.DataFrame", way: str, *, first: bool) -> "pd.DataFrame":
    """Return the keys of a table's rows as one way of joining sees them."""
    keys = table.loc[:, KEYS].copy()
    if way == "normalised" and "norm_pos" in table:
        keys["pos"] = table.norm_pos.astype("Float64").fillna(-1).astype(np.int64)
        keys["ref"], keys["alt"] = table.norm_ref, table.norm_alt
    keys["ref"], keys["alt"] = keys.ref.str.upper(), keys.alt.str.upper()
    keys["row_a" if first else "row_b"] = table.index
    if first:
        return keys
    if way == "swapped":
        keys["ref"], keys["alt"] = keys.alt.copy(), keys.ref.copy()
    elif way == "complement":
        for key in ("ref", "alt"):
            keys[key] = [text.translate(COMPLEMENT)[::-1] for text in keys[key]]
    elif way == "chr prefix":
        has = keys.chrom.str.startswith("chr")
        keys["chrom"] = np.where(has, keys.chrom.str[3:], "chr" + keys.chrom)
    elif way.startswith("pos"):
        keys["pos"] -= 1 if way == "pos + 1" else -1
    return keys


def _classes(joined: "pd.DataFrame") -> "pd.DataFrame":
    pandas = load("pandas")
    rows = {"all": np.ones(len(joined), bool)}
    rows |= {kind: (joined.kind == kind).to_numpy() for kind in sorted(set(joined.kind))}
    flags = sorted({flag for text in set(joined["flags"]) for flag in text.split(",") if flag})
    rows |= {flag: joined["flags"].str.contains(flag).to_numpy() for flag in flags}
    ways = sorted(set(joined.how))
    rows |= {way: (joined.how == way).to_numpy() for way in ways if len(ways) > 1}
    a, b = joined.a.to_numpy(np.float64), joined.b.to_numpy(np.float64)
    table = {name: _agreement(a[chosen], b[chosen]) for name, chosen in rows.items()}
    return pandas.DataFrame.from_dict(table, orient="index")


def _agreement(a: NDArray[np.float64], b: NDArray[np.float64]) -> dict[str, float]:
    spread = len(a) > 1 and a.std() > 0 and b.std() > 0
    return {
        "rows": len(a),
        "pearson": float(np.corrcoef(a, b)[0, 1]) if spread else np.nan,
        "spearman": float(np.corrcoef(rankdata(a), rankdata(b))[0, 1]) if spread else np.nan,
        "slope": float((a @ b) / (a @ a)) if a.any() else np.nan,
        "same_sign": float((np.sign(a) == np.sign(b)).mean()) if len(a) else np.nan,
        "apart": float(np.median(abs(a - b))) if len(a) else np.nan,
    }
