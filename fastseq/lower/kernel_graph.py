"""A graph of kernel calls under construction, as its rules see it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, Literal, TypeAlias

import torch
from fastseq_kernels import reference, support
from torch import Tensor, fx, nn

from fastseq._lazy import load
from fastseq.lower import ops
from fastseq.lower.chain import SIZE
from fastseq.models.specs import InputSpec, Strand
from fastseq.sequence.encode import encode, reverse_complement

aten = torch.ops.aten

Precision: TypeAlias = Literal["float32", "tf32", "float16", "bfloat16"]
Layout: TypeAlias = Literal["nlc", "ncl", "vector", "foreign"]

WORDS = {word for word in vars(ops).values() if getattr(word, "__module__", "") == ops.__name__}

# operators of PyTorch whose answer to a row has the same bits in any batch
ROW_BY_ROW = {
    aten.flatten.using_ints, aten.reshape.default, aten.squeeze.dim, aten.unsqueeze.default,
    aten.select.int, aten.slice.Tensor, aten.transpose.int, aten.permute.default, aten.cat.default,
    aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor, aten.neg.default,
    aten.sigmoid.default, aten.exp.default,
}  # fmt: skip


# what an operator calls the tensor that its answer is made of, where not ``x``
CHIEF = {"first_conv1d": "codes", "excite": "squeezed"}


@dataclass(frozen=True)
class Made:
    """What a node of the lowered graph became.

    Maps are (n, length, channels) as kernels want them ("nlc") or (n, channels, length) as
    PyTorch's words do, in the plan's type; vectors are float32; what a foreign operator gave is
    as it is. ``gate`` is a scale of each channel that nobody has applied yet.
    """

    node: fx.Node
    layout: Layout
    gate: fx.Node | None = None


class KernelGraph:
    """Calls of kernels and of PyTorch in place of a lowered graph's nodes; rules add to it."""

    def __init__(
        self, lowered: fx.GraphModule, spec: InputSpec, strand: Strand, width: int,
        precision: Precision, rest: torch.dtype | None,
    ) -> None:  # fmt: skip
        self.lowered, self.spec, self.strand, self.width = lowered, spec, strand, width
        whole = precision in ("float32", "tf32")
        self.dtype = torch.float32 if whole else getattr(torch, precision)
        self.precision = precision if whole else "float32"
        self.rest = rest or self.dtype
        self.root, self.graph = nn.Module(), fx.Graph()
        self.values: dict[fx.Node, Made] = {}
        self.how: dict[str, str] = {}
        # why a kernel did not take in a node that it could have
        self.left_out: dict[fx.Node, str] = {}
        self.foreign: list[str] = []
        self.codes: fx.Node

    def constant(self, value: Tensor) -> fx.Node:
        """Return a node that holds a tensor."""
        name = f"tensor{len(list(self.root.buffers()))}"
        self.root.register_buffer(name, value)
        return self.graph.get_attr(name)

    def tensor(self, node: fx.Node | None) -> Tensor | None:
        """Return the tensor that a constant of the lowered graph holds."""
        return None if node is None else getattr(self.lowered, str(node.target))

    def activation(self, given: dict[str, Any], channels: int) -> tuple[str, Tensor | None] | str:
        """Return a word's activation as the kernels name it and its slopes, or why not."""
        name, parameter = given["activation"], given["parameter"]
        if name == "elu" and parameter != 1:
            return f"the ELU's alpha is {parameter}; the kernels have 1"
        if name == "leaky_relu":
            return "prelu", torch.full((channels,), float(parameter))
        # one for each channel here, so that no launch has to spread it
        slope = self.tensor(parameter) if name == "prelu" else None
        return name, slope if slope is None else slope.float().expand(channels).contiguous()

    def call(self, function: Callable, *args: Any, **options: Any) -> fx.Node:
        """Return a new call; tensors among its arguments become constants."""
        ready = [self.constant(arg) if isinstance(arg, Tensor) else arg for arg in args]
        return self.graph.call_function(function, tuple(ready), options)

    def kernel(self, name: str, *args: Any, **options: Any) -> fx.Node:
        """Return a new call of one of our operators."""
        return self.call(getattr(torch.ops.fastseq, name).default, *args, **options)

    def why_not(
        self, op: str, x: tuple[int, ...], dtype: torch.dtype | None = None, **given: Any
    ) -> str:
        """Return why a kernel cannot take a call, as sentences; "" where it can.

        Parameters
        ----------
        op : str
        x : tuple of int
            The map it reads, (channels, length), or the vector.
        dtype : torch.dtype, optional
            Of ``x``; that of maps where not given.
        **given
            Its other arguments: tensors, shapes in place of those that are made on the way,
            options.
        """
        chief = CHIEF.get(op, "x")
        shapes: dict[str, Sequence[int]] = {chief: (1, *x[::-1])}
        dtypes = {chief: torch.uint8 if chief == "codes" else dtype or self.dtype}
        options = {}
        for name, value in given.items():
            if isinstance(value, Tensor):
                shapes[name], dtypes[name] = value.shape, value.dtype
            elif isinstance(value, tuple):
                shapes[name] = value
            elif value is not None:
                options[name] = value
        return "; ".join(support.reasons(op, shapes, dtypes, None, **options))

    def made(self, node: fx.Node) -> Made:
        if node.op == "placeholder" and node not in self.values:
            self.values[node] = self.whole_input()
        return self.values[node]

    def is_input(self, node: fx.Node) -> bool:
        """Whether a node is the model's input, which need not exist where codes will do."""
        return node.op == "placeholder"

    def nlc(self, node: fx.Node) -> fx.Node:
        """Return a map as kernels take it."""
        made = self.made(node)
        flat = made.node
        if made.layout != "nlc":
            flat = self.call(aten.transpose.int, self._typed(made, self.dtype), 1, 2)
        if made.gate is None:
            return flat
        channels, _ = shape = node.meta["shape"]
        if why := self.why_not("pointwise", shape, gate=(1, channels)):
            self.how[node.name] = f"PyTorch: {why}"
            wide = self.call(aten.to.dtype, flat, torch.float32)
            scaled = self.call(
                aten.mul.Tensor, wide, self.call(aten.unsqueeze.default, made.gate, 1)
            )
            flat = self.call(aten.to.dtype, scaled, self.dtype)
        else:
            flat = self.kernel("pointwise", flat, made.gate)
        self.values[node] = Made(flat, "nlc")  # so that a second reader need not scale again
        return flat

    def ncl(self, node: fx.Node) -> fx.Node:
        """Return a map as PyTorch's words take it: a view where it is ours."""
        made = self.made(node)
        if made.layout == "nlc" or made.gate is not None:
            return self.call(aten.transpose.int, self.nlc(node), 1, 2)
        return self._typed(made, self.dtype)

    def vector(self, node: fx.Node) -> fx.Node:
        """Return a vector in float32."""
        return self._typed(self.made(node), torch.float32)

    def _typed(self, made: Made, dtype: torch.dtype) -> fx.Node:
        if made.layout != "foreign":
            return made.node
        return self.call(aten.to.dtype, made.node, dtype)

    def gated(self, node: fx.Node) -> tuple[fx.Node, fx.Node | None]:
        """Return a map as kernels take it and a gate that it still wants."""
        made = self.made(node)
        return (self.nlc(node), None) if made.gate is None else (made.node, made.gate)

    def gate_shape(self, node: fx.Node) -> tuple[int, int] | None:
        """Return the shape of a gate that a map still wants, for one sequence."""
        return None if self.made(node).gate is None else (1, node.meta["shape"][0])

    def only_user(self, node: fx.Node) -> fx.Node | None:
        """Return the one node that reads this one, if there is one."""
        return next(iter(node.users)) if len(node.users) == 1 else None

    def took(self, nodes: list[fx.Node], made: Made, word: str) -> Made:
        """Record that one kernel has taken in neighbouring nodes; return what they became."""
        first, *others = nodes
        self.how[first.name] = f"Triton {word}"
        for other in others:
            self.how[other.name] = f"inside {first.name}"
            self.values[other] = made
        return made

    def by_pytorch(self, node: fx.Node) -> Made:
        """Copy a node; words get maps as (n, channels, length), or float32 vectors."""
        if node.target is SIZE and node.args[0].op == "placeholder":  # type: ignore[union-attr]
            return Made(self.call(SIZE, self.codes, 0), "foreign")
        read = [arg for arg in node.all_input_nodes if arg.op != "get_attr"]
        word = node.target in WORDS and not any(map(integral, read))
        is_map = word and any(len(arg.meta.get("shape", ())) == 2 for arg in read)
        dtype = (self.dtype if is_map else torch.float32) if word else self.rest

        def ready(arg: fx.Node) -> fx.Node:
            if arg.op == "get_attr":
                value = self.tensor(arg)
                assert value is not None
                return self.constant(value.to(dtype) if value.is_floating_point() else value)
            if word:
                return self.ncl(arg) if is_map else self.vector(arg)
            made = self.made(arg)
            if made.layout == "foreign":
                return made.node
            ours = made.node if made.layout == "vector" else self.ncl(arg)
            return self.call(aten.to.dtype, ours, dtype)

        args = fx.node.map_arg(node.args, ready)
        made = self.call(node.target, *args, **fx.node.map_arg(node.kwargs, ready))  # type: ignore[arg-type]
        if not word:
            if node.target not in ROW_BY_ROW:
                self.foreign.append(node.name)
            return Made(made, "foreign")
        if len(node.meta["shape"]) == 2:
            return Made(made, "ncl")
        return Made(self.call(aten.to.dtype, made, torch.float32), "vector")

    def _flanks(self) -> tuple[Tensor | None, Tensor | None]:
        """Return the codes that stand before and after a row's, on the + strand."""
        if self.width == self.spec.length:
            return None, None
        left, right = encode(self.spec.left), encode(self.spec.right)
        return torch.from_numpy(left), torch.from_numpy(right)

    def whole_input(self) -> Made:
        """Return the model's whole input, for a first layer that cannot read codes."""
        table = self.spec.table(self.strand).to(self.dtype)
        if self.strand == "-":
            table = table[[3, 2, 1, 0, 4]]
        x = self.call(expanded, self.codes, table, *self._flanks(), self.strand == "-")
        return Made(x, "nlc")

    def first_layer(
        self, weight: Tensor, bias: Tensor | None, *, stride: int, dilation: int, pad_left: int,
        pad_right: int, **options: Any,
    ) -> tuple[Tensor, Tensor, dict[str, Any]]:  # fmt: skip
        """Return weight, base and options of `first_conv1d`, flanks and strand folded in."""
        spec, back = self.spec, self.strand == "-"
        letters = "TGCA" if back else "ACGT"
        order = [spec.base_order.index(letter) for letter in letters]
        order += range(4, spec.channels)
        left, right = self._flanks()
        if back and left is not None and right is not None:
            left, right = _turned(right), _turned(left)
        # the flanks of a reverse complement read their codes as they are, the row's complemented
        straight = [spec.base_order.index(letter) for letter in "ACGT"] + order[4:]
        fold = load("fastseq_kernels.first_conv").fold
        unknown = 0.25 if spec.unknown == "uniform" else 0.0
        constants = spec.table(self.strand)[0, 4:]
        sizes = {"length": self.width, "left": left, "right": right, "constants": constants,
                 "unknown": unknown, "stride": stride, "dilation": dilation,
                 "pad_left": pad_left, "pad_right": pad_right}  # fmt: skip
        _, base, first = fold(weight[:, straight], bias, **sizes)
        packed = reference.pack(weight[:, order[:4]]).to(self.dtype)
        if back:
            first, stride, dilation = self.width - 1 - first, -stride, -dilation
        return packed, base, options | {"first": first, "stride": stride, "dilation": dilation,
                                        "unknown": unknown}  # fmt: skip


def arguments(node: fx.Node) -> dict[str, Any]:
    """Return a word's arguments by name, defaults where not given."""
    bound = signature(node.target).bind(*node.args, **node.kwargs)  # type: ignore[arg-type]
    bound.apply_defaults()
    return bound.arguments


def integral(node: fx.Node) -> bool:
    """Whether a node gives whole numbers, such as indices of an embedding."""
    if node.op == "placeholder":
        return False
    if "dtype" in node.meta or not node.all_input_nodes:
        return not node.meta.get("dtype", torch.float32).is_floating_point
    return node.target in WORDS and any(map(integral, node.all_input_nodes))


def _turned(codes: Tensor) -> Tensor:
    return torch.from_numpy(reverse_complement(codes.numpy()[None])[0].copy())


def expanded(
    codes: Tensor, table: Tensor, left: Tensor | None, right: Tensor | None, turned: bool
) -> Tensor:
    """Return the rows of a table at each code, (n, length, channels), flanks beside them."""
    sides = [side.expand(len(codes), -1) for side in (left, right) if side is not None]
    full = torch.cat([sides[0], codes, sides[1]], 1) if sides else codes
    return table[(full.flip(1) if turned else full).int().clamp(max=4)]
