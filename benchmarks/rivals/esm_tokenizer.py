"""transformers: the tokenizer that the published protein and nucleotide models come with."""

from pathlib import Path
from tempfile import TemporaryDirectory

from transformers import EsmTokenizer


def tokenizer(tokens):
    """Return the library's tokenizer of a vocabulary; call it with a list of str."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "vocab.txt"
        path.write_text("\n".join(tokens))
        return EsmTokenizer(str(path), eos_token="<eos>" if "<eos>" in tokens else None)
