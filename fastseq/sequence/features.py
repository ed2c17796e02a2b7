"""GC content and melting temperature of sequences."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastseq import threads as pool
from fastseq._native import features as native
from fastseq.errors import OptionError
from fastseq.sequence.alphabet import DNA
from fastseq.sequence.rows import Sequences, as_rows

_GAS = 1.987  # cal / (K mol), as the tables were fitted with


@dataclass(frozen=True)
class NearestNeighbours:
    """Enthalpies (kcal/mol) and entropies (cal/(K mol)) of a duplex, each as a pair.

    ``pairs`` names two bases of the strand in 5' to 3' direction; where a pair is missing, that of
    the other strand counts.
    """

    source: str
    pairs: dict[str, tuple[float, float]]
    init: tuple[float, float] = (0, 0)
    end_at: tuple[float, float] = (0, 0)
    end_gc: tuple[float, float] = (0, 0)
    any_gc: tuple[float, float] = (0, 0)
    no_gc: tuple[float, float] = (0, 0)
    symmetric: tuple[float, float] = (0, -1.4)

    def flat(self) -> np.ndarray:
        """Return the numbers in the order of the native kernel, float64 (52,)."""
        turned = {a: b for a, b in zip(DNA, reversed(DNA))}
        pairs = [
            self.pairs.get(a + b) or self.pairs[turned[b] + turned[a]] for a in DNA for b in DNA
        ]
        ends = [self.end_at, self.end_gc, self.end_gc, self.end_at]
        whole = [np.add(self.init, self.any_gc), np.add(self.init, self.no_gc)]
        return np.array([*pairs, *ends, *ends, *whole], np.float64).reshape(-1)


def _ten(*values: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return dict(zip(("AA", "AT", "TA", "CA", "GT", "CT", "GA", "CG", "GC", "GG"), values))


TABLES = {
    "DNA_NN1": NearestNeighbours(
        "Breslauer et al. 1986, PNAS 83:3746",
        _ten((-9.1, -24.0), (-8.6, -23.9), (-6.0, -16.9), (-5.8, -12.9), (-6.5, -17.3),
             (-7.8, -20.8), (-5.6, -13.5), (-11.9, -27.8), (-11.1, -26.7), (-11.0, -26.6)),
        any_gc=(0, -16.8), no_gc=(0, -20.1), symmetric=(0, -1.3),
    ),
    "DNA_NN2": NearestNeighbours(
        "Sugimoto et al. 1996, Nucleic Acids Res 24:4501",
        _ten((-8.0, -21.9), (-5.6, -15.2), (-6.6, -18.4), (-8.2, -21.0), (-9.4, -25.5),
             (-6.6, -16.4), (-8.8, -23.5), (-11.8, -29.0), (-10.5, -26.4), (-10.9, -28.4)),
        init=(0.6, -9.0),
    ),
    "DNA_NN3": NearestNeighbours(
        "Allawi and SantaLucia 1997, Biochemistry 36:10581",
        _ten((-7.9, -22.2), (-7.2, -20.4), (-7.2, -21.3), (-8.5, -22.7), (-8.4, -22.4),
             (-7.8, -21.0), (-8.2, -22.2), (-10.6, -27.2), (-9.8, -24.4), (-8.0, -19.9)),
        end_at=(2.3, 4.1), end_gc=(0.1, -2.8),
    ),
    "DNA_NN4": NearestNeighbours(
        "SantaLucia and Hicks 2004, Annu Rev Biophys Biomol Struct 33:415",
        _ten((-7.6, -21.3), (-7.2, -20.4), (-7.2, -21.3), (-8.5, -22.7), (-8.4, -22.4),
             (-7.8, -21.0), (-8.2, -22.2), (-10.6, -27.2), (-9.8, -24.4), (-8.0, -19.9)),
        init=(0.2, -5.7), end_at=(2.2, 6.9),
    ),
    "RNA_NN1": NearestNeighbours(
        "Freier et al. 1986, PNAS 83:9373",
        _ten((-6.6, -18.4), (-5.7, -15.5), (-8.1, -22.6), (-10.5, -27.8), (-10.2, -26.2),
             (-7.6, -19.2), (-13.3, -35.5), (-8.0, -19.4), (-14.2, -34.9), (-12.2, -29.7)),
        init=(0, -10.8),
    ),
    "RNA_NN2": NearestNeighbours(
        "Xia et al. 1998, Biochemistry 37:14719",
        _ten((-6.82, -19.0), (-9.38, -26.7), (-7.69, -20.5), (-10.44, -26.9), (-11.40, -29.5),
             (-10.48, -27.1), (-12.44, -32.5), (-10.64, -26.7), (-14.88, -36.9), (-13.39, -32.7)),
        init=(3.61, -1.5), end_at=(3.72, 10.5),
    ),
    "RNA_NN3": NearestNeighbours(
        "Chen et al. 2012, Biochemistry 51:3508",
        _ten((-7.09, -19.8), (-9.11, -25.8), (-8.50, -22.9), (-11.03, -28.8), (-11.98, -31.3),
             (-10.90, -28.5), (-13.21, -34.9), (-10.88, -27.4), (-16.04, -40.6), (-14.18, -35.0)),
        init=(6.40, 6.99), end_at=(3.85, 11.04),
    ),
    # the strand given is RNA, the other one DNA
    "R_DNA_NN1": NearestNeighbours(
        "Sugimoto et al. 1995, Biochemistry 34:11211",
        {
            "TT": (-11.5, -36.4), "GT": (-7.8, -21.6), "CT": (-7.0, -19.7), "AT": (-8.3, -23.9),
            "TG": (-10.4, -28.4), "GG": (-12.8, -31.9), "CG": (-16.3, -47.1), "AG": (-9.1, -23.5),
            "TC": (-8.6, -22.9), "GC": (-8.0, -17.1), "CC": (-9.3, -23.2), "AC": (-5.9, -12.3),
            "TA": (-7.8, -23.2), "GA": (-5.5, -13.5), "CA": (-9.0, -26.1), "AA": (-7.8, -21.9),
        },
        init=(1.9, -3.9), symmetric=(0, 0),
    ),
}  # fmt: skip


def gc_content(
    seqs: Sequences, *, unknown: str = "ignore", threads: int | None = None
) -> float | NDArray[np.float64]:
    """Return the fraction of G and C: float64 (n,), or a float for a single text.

    Parameters
    ----------
    seqs : text, list of texts, ndarray or Ragged
        Any form of `encode`.
    unknown : {"ignore", "count"}
        Unknown bases: left out of the denominator, or part of it. nan where nothing is left.

    Raises
    ------
    OptionError
        ``unknown`` is neither.

    Examples
    --------
    >>> gc_content("acGTNN"), gc_content(["GC", "G", "", "AN"]).tolist()
    (0.5, [1.0, 1.0, nan, 0.0])
    """
    if unknown not in ("ignore", "count"):
        raise OptionError(f'unknown is {unknown!r}; expected "ignore" or "count"')
    rows = as_rows(seqs)
    gc, known = np.zeros(rows.n, np.int64), np.zeros(rows.n, np.int64)
    pool.run(
        lambda first, last: native.composition(rows.capsule, first, last, gc, known),
        rows.n,
        pool.resolve(threads, rows.total),
    )
    if unknown == "count":
        rows.sizes(known)
    fraction = np.divide(gc, known, out=np.full(rows.n, np.nan), where=known > 0)
    return float(fraction[0]) if rows.single else fraction


def melting_temperature(
    seqs: Sequences,
    *,
    table: str | NearestNeighbours = "DNA_NN3",
    dnac1: float = 25,
    dnac2: float = 25,
    selfcomp: bool = False,
    Na: float = 50,
    K: float = 0,
    Tris: float = 0,
    Mg: float = 0,
    dNTPs: float = 0,
    saltcorr: int = 5,
    threads: int | None = None,
) -> float | NDArray[np.float64]:
    """Return the melting temperature in degrees Celsius, by nearest neighbours.

    Parameters
    ----------
    seqs : text, list of texts, ndarray or Ragged
        Any form of `encode`; the other strand is the perfect complement.
    table : str or NearestNeighbours
        DNA_NN1 to DNA_NN4, RNA_NN1 to RNA_NN3, R_DNA_NN1 (`TABLES`), or one's own.
    dnac1, dnac2 : float
        Concentrations of the more and the less frequent strand, nM.
    selfcomp : bool
        The strand pairs with itself; ``dnac2`` is then not used.
    Na, K, Tris, Mg, dNTPs : float
        Concentrations, mM; ions other than Na are made sodium equivalents.
    saltcorr : int
        0 none; 1 to 4 added to the temperature (Schildkraut & Lifson 1965, Wetmur 1991,
        SantaLucia 1996, SantaLucia 1998); 5 the entropy (SantaLucia 1998); 6 and 7 its inverse
        (Owczarzy 2004, 2008).

    Returns
    -------
    float64 (n,), or a float for a single text
        nan where a base is unknown or there are fewer than two.

    Raises
    ------
    OptionError
        No such table or correction, or concentrations that have no logarithm.

    Notes
    -----
    The parameters are those of ``Bio.SeqUtils.MeltingTemp.Tm_NN``, and so are the results, to
    1e-9, wherever all bases are known; Biopython deletes unknown ones and joins their neighbours.
    Mismatches and dangling ends are not modelled.

    Examples
    --------
    >>> round(melting_temperature("CGTTCCAAAGATGTGGGCATGAGCTTAC"), 2)
    60.32
    """
    if isinstance(table, str):
        if table not in TABLES:
            raise OptionError(f"table is {table!r}; expected one of {', '.join(TABLES)}")
        table = TABLES[table]
    strands = dnac1 if selfcomp else dnac1 - dnac2 / 2
    if strands <= 0:
        raise OptionError(f"dnac1 is {dnac1}, dnac2 is {dnac2}; expected dnac1 > dnac2 / 2")
    rows = as_rows(seqs)
    found = np.empty((rows.n, 3))
    numbers = table.flat()
    pool.run(
        lambda first, last: native.duplexes(rows.capsule, first, last, numbers, found),
        rows.n,
        pool.resolve(threads, 4 * rows.total),
    )
    enthalpy, entropy, gc = found.T
    if selfcomp:
        enthalpy, entropy = enthalpy + table.symmetric[0], entropy + table.symmetric[1]
    sizes = np.empty(rows.n, np.int64)
    rows.sizes(sizes)
    change = _salt(saltcorr, Na, K, Tris, Mg, dNTPs, gc, np.maximum(sizes - 1, 1))
    if saltcorr == 5:
        entropy = entropy + change
    kelvin = 1000 * enthalpy / (entropy + _GAS * math.log(strands * 1e-9))
    if saltcorr in (6, 7):
        kelvin = 1 / (1 / kelvin + change)
    celsius = kelvin - 273.15
    if saltcorr in (1, 2, 3, 4):
        celsius = celsius + change
    return float(celsius[0]) if rows.single else celsius


def _salt(method, Na, K, Tris, Mg, dNTPs, gc, pairs):
    """Return the term that a salt correction adds to temperature, entropy or inverse temperature.

    ``pairs`` counts the neighbours of each sequence: its length less one.
    """
    if method not in range(8):
        raise OptionError(f"saltcorr is {method!r}; expected 0 to 7")
    if method == 0:
        return 0.0
    millimolar = Na + K + Tris / 2
    if (K or Mg or Tris or dNTPs) and method != 7 and dNTPs < Mg:
        # sodium equivalent of the magnesium that dNTPs leave free (von Ahsen et al. 2001)
        millimolar += 120 * math.sqrt(Mg - dNTPs)
    salt = millimolar * 1e-3
    if salt <= 0 and (method != 7 or Mg <= 0):
        raise OptionError("no ions; pass Na, K, Tris or Mg, or saltcorr=0")
    if method == 7 and Mg > 0:
        return _owczarzy_2008(salt, Mg * 1e-3, dNTPs * 1e-3, gc, pairs)
    log = math.log(salt)
    if method in (6, 7):
        return (4.29 * gc - 3.95) * 1e-5 * log + 9.40e-6 * log**2
    if method == 5:
        return 0.368 * pairs * log
    if method == 2:
        return 16.6 * math.log10(salt / (1 + 0.7 * salt))
    return {1: 16.6, 3: 12.5, 4: 11.7}[method] * math.log10(salt)


def _owczarzy_2008(salt, magnesium, dntps, gc, pairs):
    """Return the change of inverse temperature, Biochemistry 47:5336, equations 16 and 18-20."""
    if dntps > 0:
        binding = 3e4
        free = binding * dntps - binding * magnesium + 1
        magnesium = (-free + math.sqrt(free**2 + 4 * binding * magnesium)) / (2 * binding)
    a, d, g = 3.92, 1.42, 8.31
    if salt > 0:
        log, ratio = math.log(salt), math.sqrt(magnesium) / salt
        if ratio < 0.22:
            return (4.29 * gc - 3.95) * 1e-5 * log + 9.40e-6 * log**2
        if ratio < 6:
            a *= 0.843 - 0.352 * math.sqrt(salt) * log
            d *= 1.279 - 4.03e-3 * log - 8.03e-3 * log**2
            g *= 0.486 - 0.258 * log + 5.25e-3 * log**3
    log = math.log(magnesium)
    ends = (-48.2 + 52.5 * log + g * log**2) / (2 * pairs)
    return (a - 0.911 * log + gc * (6.26 + d * log) + ends) * 1e-5
