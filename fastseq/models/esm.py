"""ESM for sequences (Lin et al. 2023): a protein language model that reads bases or k-mers.

The network is that of the transformers library; tokens are made here. Checkpoints of the
Nucleotide Transformer, first version, are of the same class with 6-mers.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fastseq._lazy import load
from fastseq.arrays import UNKNOWN
from fastseq.errors import CheckpointError, MissingFileError, ModelError, OptionError
from fastseq.models.blocks import task_names
from fastseq.models.specs import InputSpec, TargetSpec
from fastseq.sequence.tokens import (
    Unknown,
    Vocabulary,
    kmer_vocabulary,
    protein_vocabulary,
    tokenize,
)

# parameters at the default sizes, so that a list of models need not import the library
PARAMETERS = 7_512_443


class ESM(nn.Module):
    """A transformer over tokens, the first token's state through two dense layers.

    Parameters
    ----------
    length : int
    tasks, classes : int
        One logit of two classes; or with ``classes=1`` one number a task.
    folder : path, optional
        A local folder of the library (``config.json``, ``vocab.txt``, weights) to begin from;
        otherwise weights are random and the sizes below count. Nothing is ever downloaded.
    k : int
        Bases a token, without a folder: 1 reads bases as amino-acid letters.
    unknown : {"mask", "letter"}
        An unknown base is the mask token, or the token N as in the library.
    frozen : int
        So many layers, from the embeddings up, keep their weights; -1: all, only the head learns.
    hidden, layers, heads, inner : int
        Without a folder: those of the smallest published ESM-2.
    config : dict, optional
        The library's configuration; checkpoints carry it, with ``vocabulary``.
    """

    def __init__(
        self,
        *,
        length: int = 271,
        tasks: int = 1,
        classes: int = 2,
        folder: str | None = None,
        k: int = 1,
        unknown: Unknown = "mask",
        frozen: int = 0,
        hidden: int = 320,
        layers: int = 6,
        heads: int = 20,
        inner: int = 1280,
        config: dict[str, Any] | None = None,
        vocabulary: tuple[str, ...] | None = None,
    ):
        super().__init__()
        self.network: Any
        self.letters: Tensor
        if classes not in (1, 2) or (classes == 2 and tasks > 1):
            raise OptionError(
                f"classes={classes}, tasks={tasks}; expected classes=2 with one task (a logit), or "
                "classes=1 (numbers)"
            )
        if unknown not in ("mask", "letter"):
            raise OptionError(f"unknown={unknown!r}; expected 'mask' or 'letter'")
        library = load("transformers")
        labels = 2 if classes == 2 else tasks
        if folder is not None:
            self.vocabulary = _vocabulary_of(Path(folder))
            self.network = _from_folder(library, Path(folder), labels)
        else:
            made = protein_vocabulary() if k == 1 else kmer_vocabulary(k)
            self.vocabulary = made if vocabulary is None else Vocabulary(tuple(vocabulary))
            sizes = {
                "hidden_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
                "intermediate_size": inner,
            }  # fmt: skip
            config = config or _fresh_config(self.vocabulary, length, **sizes)
            self.network = library.EsmForSequenceClassification(
                library.EsmConfig(**{**config, "num_labels": labels})
            )
        self.input_spec = InputSpec(length)
        self.target_spec = TargetSpec(
            task_names(tasks), scale="logit" if classes == 2 else "linear"
        )
        self.unknown: Unknown = unknown
        # what rebuilds this model where the folder is gone
        self.rebuilt = {
            "folder": None,
            "config": _plain(self.network.config.to_diff_dict()),
            "vocabulary": list(self.vocabulary.tokens),
        }
        place = self.vocabulary.place
        letters = [*"ACGT", "<mask>" if unknown == "mask" else "N"]
        ids = torch.tensor([place[token] for token in letters], device="cpu")
        self.register_buffer("letters", ids, persistent=False)
        self._freeze(frozen)

    def forward(self, x: Tensor) -> Tensor:
        ids = self._ids(x)
        table = self.network.esm.embeddings.word_embeddings
        with _moved_by(table, self._slopes(x, ids, table.weight)):
            padding = self.vocabulary.place["<pad>"]
            scores = self.network(input_ids=ids, attention_mask=(ids != padding).long()).logits
        return scores[:, 1:] - scores[:, :1] if self.target_spec.scale == "logit" else scores

    def _ids(self, x: Tensor) -> Tensor:
        """Return the token ids of one-hot rows, int64 (n, tokens)."""
        codes = torch.where(x.detach().sum(1) > 0.5, x.detach().argmax(1), UNKNOWN)
        if self.vocabulary.k > 1:
            rows = np.ascontiguousarray(codes.to(torch.uint8).cpu().numpy())
            ids = tokenize(rows, self.vocabulary, unknown=self.unknown)
            return torch.from_numpy(ids).to(x.device)
        ends = [self.vocabulary.place.get(token) for token in ("<cls>", "<eos>")]
        n = codes.shape[0]
        first, last = (codes.new_full((n, int(end is not None)), end or 0) for end in ends)
        return torch.cat((first, self.letters[codes], last), dim=1)

    def _slopes(self, x: Tensor, ids: Tensor, table: Tensor) -> Tensor | None:
        """Return zeros with the gradient of every base's token, where a gradient is wanted."""
        if not x.requires_grad:
            return None
        if self.vocabulary.k > 1:
            raise ModelError(
                f"tokens of {self.vocabulary.k} bases have no gradient by base; explain this model "
                "with method='ism'"
            )
        letters = x.transpose(1, 2) @ table[self.letters[:4]]
        after = ids.shape[1] - 1 - x.shape[2]
        letters = nn.functional.pad(letters, (0, 0, 1, after))
        return letters - letters.detach()

    def _freeze(self, layers: int) -> None:
        encoder = self.network.esm
        blocks = encoder.encoder.layer
        if not -1 <= layers <= len(blocks):
            raise OptionError(f"frozen={layers}; expected 0 to {len(blocks)} layers, or -1 for all")
        if layers == -1:
            encoder.requires_grad_(False)
        elif layers:
            for part in (encoder.embeddings, *blocks[:layers]):
                part.requires_grad_(False)


@contextmanager
def _moved_by(table: nn.Embedding, change: Tensor | None) -> Iterator[None]:
    """Add a change to what an embedding answers, while the context lasts."""
    if change is None:
        yield
        return
    hook = table.register_forward_hook(lambda *call: call[2] + change)
    try:
        yield
    finally:
        hook.remove()


def _fresh_config(vocabulary: Vocabulary, length: int, **sizes: int) -> dict[str, Any]:
    """Return the configuration of a new ESM-2: rotary positions, masked tokens dropped."""
    place = vocabulary.place
    return {
        "vocab_size": len(vocabulary),
        "pad_token_id": place["<pad>"],
        "mask_token_id": place["<mask>"],
        "max_position_embeddings": max(length + 2, 1026),
        "position_embedding_type": "rotary",
        "token_dropout": True,
        "emb_layer_norm_before": False,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        **sizes,
    }


def _from_folder(library: Any, folder: Path, labels: int) -> nn.Module:
    try:
        return library.EsmForSequenceClassification.from_pretrained(
            folder, num_labels=labels, local_files_only=True, ignore_mismatched_sizes=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder} holds no ESM model that loads: {error}") from error


def _vocabulary_of(folder: Path) -> Vocabulary:
    """Return the folder's vocabulary, without the <eos> that its tokenizer does not use."""
    if not folder.is_dir():
        raise MissingFileError(f"there is no folder {folder} of an ESM model")
    vocabulary = Vocabulary.read(folder / "vocab.txt")
    about = folder / "tokenizer_config.json"
    if about.exists() and json.loads(about.read_bytes()).get("eos_token", "<eos>") is None:
        # its place stays taken, so that no id moves
        renamed = tuple("<unused>" if t == "<eos>" else t for t in vocabulary.tokens)
        return Vocabulary(renamed)
    return vocabulary


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration without what names the library, its dtype or the labels."""
    left_out = {"transformers_version", "dtype", "id2label", "label2id", "architectures"}
    return {name: value for name, value in config.items() if name not in left_out}
