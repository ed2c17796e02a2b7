import numpy as np

class Lookup:
    def __init__(self, table: np.ndarray, base: int = -1) -> None: ...

class Form:
    def __init__(
        self,
        kind: int,
        last: bool,
        letters: int,
        item: int,
        rest: float,
        text: np.ndarray,
        codes: np.ndarray,
        blank: np.ndarray,
    ) -> None: ...

def codes(
    capsule: object,
    first: int,
    last: int,
    begin: int,
    end: int,
    out: np.ndarray,
    length: int,
    pad: int,
    cut: int,
    fill: int,
    lookup: Lookup | None = None,
) -> None: ...
def first_foreign(
    capsule: object, most: int, lookup: Lookup | None = None
) -> tuple[int, int] | None: ...
def one_hot(
    capsule: object,
    form: Form,
    first: int,
    last: int,
    begin: int,
    end: int,
    out: np.ndarray,
    length: int,
    pad: int,
    cut: int,
) -> None: ...
def one_hot_whole(capsule: object, form: Form, out: np.ndarray) -> None: ...
def translate_reversed(
    capsule: object, first: int, last: int, out: np.ndarray, lookup: Lookup
) -> None: ...
def reverse_items(
    x: np.ndarray, out: np.ndarray, n: int, count: int, item: int, first: int, last: int
) -> None: ...
def decode(
    x: np.ndarray,
    out: np.ndarray,
    n: int,
    length: int,
    item: int,
    sign: int,
    last_axis: bool,
    letters: np.ndarray,
    first: int,
    last: int,
) -> None: ...
