"""A lowered graph as calls of the GPU kernels, by a table; what none takes stays with PyTorch."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any, Literal, TypeAlias

import torch
from fastseq_kernels import reference, support
from torch import Tensor, fx, nn

from fastseq._lazy import load
from fastseq.lower import ops
from fastseq.models.specs import InputSpec, Strand
from fastseq.sequence.encode import encode, reverse_complement

aten = torch.ops.aten

Precision: TypeAlias = Literal["float32", "tf32", "float16", "bfloat16"]
Layout: TypeAlias = Literal["nlc", "ncl", "vector", "foreign"]

WORDS = {word for word in vars(ops).values() if getattr(word, "__module__", "") == ops.__name__}
FILES = ("conv", "depthwise", "first_conv", "squeeze_excite")


def obstacles(device: torch.device) -> list[str]:
    """Return why no kernel runs on a device, as sentences; nothing where they do."""
    return list(support.machine(device))


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


def onto_kernels(
    lowered: fx.GraphModule,
    spec: InputSpec,
    strand: Strand,
    width: int,
    precision: Precision,
    *,
    rest: torch.dtype | None = None,
) -> fx.GraphModule:
    """Return a lowered graph over codes, its words as kernels where one takes them.

    Parameters
    ----------
    lowered : fx.GraphModule
        Calls of `fastseq.lower.ops` or of PyTorch; float32 constants.
    spec : InputSpec
        Its flanks, strand and flag channels and unknown bases are folded into the first layer.
    strand : {"+", "-"}
        "-" reads the codes backwards and answers in the orientation of the reverse complement.
    width : int
        Codes of a row: the spec's variable part, or its full length.
    precision : {"float32", "tf32", "float16", "bfloat16"}
        How maps are stored and multiplied; sums and vectors are float32.
    rest : torch.dtype, optional
        In which type operators run that have no word; that of maps where not given.

    Returns
    -------
    fx.GraphModule
        uint8 codes (n, width) to the graph's answer. ``meta["how"]`` maps each node of the lowered
        graph to how it runs, in words; ``meta["foreign"]`` lists those that have no word.
    """
    for file in FILES:  # which defines the operators, and needs Triton
        load(f"fastseq_kernels.{file}")
    made = _Mapping(lowered, spec, strand, width, precision, rest)
    for node in lowered.graph.nodes:
        made.translate(node)
    made.graph.eliminate_dead_code()
    program = fx.GraphModule(made.root, made.graph)
    program.graph.lint()
    program.meta |= {"how": made.how, "foreign": made.foreign}
    return program


def ready(
    lowered: fx.GraphModule, spec: InputSpec, strand: Strand, width: int, precision: Precision,
    device: torch.device,
) -> fx.GraphModule:  # fmt: skip
    """Return `onto_kernels` on its device; operators that refuse half precision run in float32."""
    program = onto_kernels(lowered, spec, strand, width, precision).to(device)
    if not program.meta["foreign"] or precision in ("float32", "tf32"):
        return program
    try:
        with torch.inference_mode():
            program(torch.zeros(1, width, dtype=torch.uint8, device=device))
        return program
    except RuntimeError as error:
        why = str(error).partition("\n")[0]
    whole = onto_kernels(lowered, spec, strand, width, precision, rest=torch.float32).to(device)
    for node in whole.meta["foreign"]:
        whole.meta["how"][node] += f", in float32 ({why})"
    return whole


class _Mapping:
    """The graph under construction, as the rules see it."""

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
        self.foreign: list[str] = []
        self.codes: fx.Node

    def translate(self, node: fx.Node) -> None:
        """Add what a node of the lowered graph becomes, unless an earlier node has taken it in."""
        if node.op == "placeholder":
            self.codes = self.graph.placeholder("codes")
        elif node.op == "call_function" and node not in self.values:
            rule = RULES.get(node.target)  # type: ignore[arg-type]
            whole = any(map(_integral, node.all_input_nodes))
            found = rule(self, node) if rule and not whole else "no kernel computes it"
            if isinstance(found, str):
                self.how[node.name] = f"PyTorch: {found}"
                found = self._by_pytorch(node)
            self.values[node] = found
        elif node.op == "output":
            (answer,) = node.args
            made = self._made(answer)
            ready = self.ncl(answer) if made.layout == "nlc" or made.gate else made.node
            self.graph.output(ready)

    def constant(self, value: Tensor) -> fx.Node:
        """Return a node that holds a tensor."""
        name = f"tensor{len(list(self.root.buffers()))}"
        self.root.register_buffer(name, value)
        return self.graph.get_attr(name)

    def tensor(self, node: fx.Node | None) -> Tensor | None:
        """Return the tensor that a constant of the lowered graph holds."""
        return None if node is None else getattr(self.lowered, str(node.target))

    def activation(self, given: dict[str, Any]) -> tuple[str, Tensor | None] | str:
        """Return a word's activation as the kernels name it and its slopes, or why not."""
        name, parameter = given["activation"], given["parameter"]
        if name == "prelu":
            return name, self.tensor(parameter)
        if name == "leaky_relu":
            return "prelu", torch.tensor([float(parameter)])
        if name == "elu" and parameter != 1:
            return f"the ELU's alpha is {parameter}; the kernels have 1"
        return name, None

    def call(self, function: Callable, *args: Any, **options: Any) -> fx.Node:
        """Return a new call; tensors among its arguments become constants."""
        ready = [self.constant(arg) if isinstance(arg, Tensor) else arg for arg in args]
        return self.graph.call_function(function, tuple(ready), options)

    def kernel(self, name: str, *args: Any, **options: Any) -> fx.Node:
        """Return a new call of one of our operators."""
        return self.call(getattr(torch.ops.fastseq, name).default, *args, **options)

    def _made(self, node: fx.Node) -> Made:
        if node.op == "placeholder" and node not in self.values:
            self.values[node] = self._expanded()
        return self.values[node]

    def is_input(self, node: fx.Node) -> bool:
        """Whether a node is the model's input, which need not exist where codes will do."""
        return node.op == "placeholder"

    def nlc(self, node: fx.Node) -> fx.Node:
        """Return a map as kernels take it."""
        made = self._made(node)
        flat = made.node
        if made.layout != "nlc":
            flat = self.call(aten.transpose.int, self._typed(made, self.dtype), 1, 2)
        if made.gate is None:
            return flat
        return self.kernel("pointwise", flat, made.gate)

    def ncl(self, node: fx.Node) -> fx.Node:
        """Return a map as PyTorch's words take it: a view where it is ours."""
        made = self._made(node)
        if made.layout == "nlc" or made.gate is not None:
            return self.call(aten.transpose.int, self.nlc(node), 1, 2)
        return self._typed(made, self.dtype)

    def vector(self, node: fx.Node) -> fx.Node:
        """Return a vector in float32."""
        return self._typed(self._made(node), torch.float32)

    def _typed(self, made: Made, dtype: torch.dtype) -> fx.Node:
        if made.layout != "foreign":
            return made.node
        return self.call(aten.to.dtype, made.node, dtype)

    def gated(self, node: fx.Node) -> tuple[fx.Node, fx.Node | None]:
        """Return a map as kernels take it and a gate that it still wants."""
        made = self._made(node)
        return (self.nlc(node), None) if made.gate is None else (made.node, made.gate)

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

    def _by_pytorch(self, node: fx.Node) -> Made:
        """Copy a node; words get maps as (n, channels, length), or float32 vectors."""
        read = [arg for arg in node.all_input_nodes if arg.op != "get_attr"]
        word = node.target in WORDS and not any(map(_integral, read))
        is_map = word and any(len(arg.meta.get("shape", ())) == 2 for arg in read)
        dtype = (self.dtype if is_map else torch.float32) if word else self.rest

        def ready(arg: fx.Node) -> fx.Node:
            if arg.op == "get_attr":
                value = self.tensor(arg)
                assert value is not None
                return self.constant(value.to(dtype) if value.is_floating_point() else value)
            if word:
                return self.ncl(arg) if is_map else self.vector(arg)
            made = self._made(arg)
            if made.layout == "foreign":
                return made.node
            ours = made.node if made.layout == "vector" else self.ncl(arg)
            return self.call(aten.to.dtype, ours, dtype)

        args = fx.node.map_arg(node.args, ready)
        made = self.call(node.target, *args, **fx.node.map_arg(node.kwargs, ready))  # type: ignore[arg-type]
        if not word:
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

    def _expanded(self) -> Made:
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


def _integral(node: fx.Node) -> bool:
    """Whether a node gives whole numbers, such as indices of an embedding."""
    if node.op == "placeholder":
        return False
    if "dtype" in node.meta or not node.all_input_nodes:
        return not node.meta.get("dtype", torch.float32).is_floating_point
    return node.target in WORDS and any(map(_integral, node.all_input_nodes))


def _turned(codes: Tensor) -> Tensor:
    return torch.from_numpy(reverse_complement(codes.numpy()[None])[0].copy())


def expanded(
    codes: Tensor, table: Tensor, left: Tensor | None, right: Tensor | None, turned: bool
) -> Tensor:
    """Return the rows of a table at each code, (n, length, channels), flanks beside them."""
    sides = [side.expand(len(codes), -1) for side in (left, right) if side is not None]
    full = torch.cat([sides[0], codes, sides[1]], 1) if sides else codes
    return table[(full.flip(1) if turned else full).int().clamp(max=4)]


def arguments(node: fx.Node) -> dict[str, Any]:
    """Return a word's arguments by name, defaults where not given."""
    bound = signature(node.target).bind(*node.args, **node.kwargs)  # type: ignore[arg-type]
    bound.apply_defaults()
    return bound.arguments


def _pooled(node: fx.Node | None) -> int:
    """Return the width of a pool of windows side by side, 1 where it is none such."""
    if node is None or node.target is not ops.max_pool:
        return 1
    given = arguments(node)
    width, kept = given["width"], node.meta["shape"][1]
    aligned = width == given["stride"] and given["before"] == 0
    return width if aligned and kept == given["x"].meta["shape"][1] // width else 1


def _conv(low: _Mapping, node: fx.Node) -> Made | str:
    given = arguments(node)
    x, skip, groups = given["x"], given["skip"], given["groups"]
    weight, bias = low.tensor(given["weight"]), low.tensor(given["bias"])
    shaped = low.activation(given)
    if isinstance(shaped, str):
        return shaped
    from_codes = low.is_input(x) and groups == 1 and skip is None
    inside, residual = [node], skip
    after_sum = low.only_user(node)
    if not from_codes and skip is None and after_sum and after_sum.target is ops.add:
        other = next((arg for arg in after_sum.args if arg is not node), None)
        if other in low.values and len(node.meta["shape"]) == 2:
            inside, residual = [node, after_sum], other
    pool = _pooled(low.only_user(inside[-1]))
    pooled = [*inside, low.only_user(inside[-1])] if pool > 1 else inside
    options = {"stride": given["stride"], "dilation": given["dilation"],
               "activation": shaped[0], "precision": low.precision,
               "pad_left": given["before"], "pad_right": given["after"]}  # fmt: skip
    if from_codes:
        return _first(low, weight, bias, shaped[1], options, pooled, pool)
    options |= {"groups": groups,
                "residual_first": skip is not None}  # fmt: skip
    channels, length = x.meta["shape"]
    packed = reference.pack(weight).to(low.dtype)
    shapes = {"x": (1, length, channels), "weight": packed.shape}
    dtypes = {"x": low.dtype, "weight": low.dtype}
    why: list[str] = []
    for name in ("conv1d", "depthwise_conv1d"):
        for nodes, width in ((pooled, pool), (inside, 1))[: 2 if pool > 1 else 1]:
            found = support.reasons(name, shapes, dtypes, None, **options, pool=width)
            if found:
                why = why or found
                continue
            map_, gate = low.gated(x) if name == "conv1d" else (low.nlc(x), None)
            beside = None if residual is None else low.nlc(residual)
            made = low.kernel(name, map_, packed, bias, shaped[1], beside, gate, **options,
                              pool=width)  # fmt: skip
            return low.took(nodes, Made(made, "nlc"), _words(name, nodes, gate))
    return "; ".join(why)


def _first(
    low: _Mapping, weight: Tensor, bias: Tensor | None, slope: Any, options: dict[str, Any],
    nodes: list[fx.Node], pool: int,
) -> Made | str:  # fmt: skip
    packed, base, options = low.first_layer(weight, bias, **options)
    options["positions"] = nodes[0].meta["shape"][1]
    shapes = {"codes": (1, low.width), "weight": packed.shape}
    dtypes = {"codes": torch.uint8, "weight": low.dtype}
    if pool > 1 and support.reasons("first_conv1d", shapes, dtypes, None, **options, pool=pool):
        nodes, pool = nodes[:-1], 1
    if found := support.reasons("first_conv1d", shapes, dtypes, None, **options, pool=pool):
        return "; ".join(found)
    made = low.kernel("first_conv1d", low.codes, packed, base, slope, **options, pool=pool)
    return low.took(nodes, Made(made, "nlc"), _words("first_conv1d", nodes, None))


def _words(name: str, nodes: list[fx.Node], gate: object) -> str:
    taken = [getattr(node.target, "__name__", "") for node in nodes[1:]]
    return " + ".join([name, *(["gate"] if gate is not None else []), *taken])


def _activate(low: _Mapping, node: fx.Node) -> Made | str:
    if len(node.meta["shape"]) != 2:
        return "a vector is small"
    shaped = low.activation(given := arguments(node))
    if isinstance(shaped, str):
        return shaped
    map_, gate = low.gated(given["x"])
    made = low.kernel("pointwise", map_, gate, shaped[1], None, activation=shaped[0])
    return low.took([node], Made(made, "nlc"), "pointwise")


def _add(low: _Mapping, node: fx.Node) -> Made | str:
    x, y = node.args
    if len(node.meta["shape"]) != 2:
        return "a vector is small"
    (map_, gate), beside = low.gated(x), low.nlc(y)
    follower = low.only_user(node)
    nodes, shaped = [node], ("none", None)
    if follower is not None and follower.target is ops.activate:
        found = low.activation(arguments(follower))
        if not isinstance(found, str):
            nodes, shaped = [node, follower], found
    made = low.kernel("pointwise", map_, gate, shaped[1], beside, activation=shaped[0],
                      residual_first=True)  # fmt: skip
    return low.took(nodes, Made(made, "nlc"), _words("pointwise", nodes, gate))


def _gate(low: _Mapping, node: fx.Node) -> Made | str:
    """A map times a vector that was given an axis of one position."""
    for x, other in (node.args, node.args[::-1]):
        spread = isinstance(other, fx.Node) and other.target is aten.unsqueeze.default
        if not spread or len(getattr(x, "meta", {}).get("shape", ())) != 2:
            continue
        gate = other.args[0]
        if x.meta["shape"] == node.meta["shape"] and gate.meta["shape"] == x.meta["shape"][:1]:
            made = Made(low.nlc(x), "nlc", low.vector(gate))
            low.how[other.name] = f"inside {node.name}"
            return low.took([node], made, "gate, applied where the map is read next")
    return "the product is not of a map and a gate"


def _concat(low: _Mapping, node: fx.Node) -> Made | str:
    (xs,) = node.args
    if len(node.meta["shape"]) != 2:
        return "a vector is small"
    made = low.call(aten.cat.default, [low.nlc(x) for x in xs], 2)
    low.how[node.name] = "PyTorch: a copy, channels last"
    return Made(made, "nlc")


def _global_mean(low: _Mapping, node: fx.Node) -> Made | str:
    made = Made(low.kernel("squeeze", low.nlc(node.args[0])), "vector")  # type: ignore[arg-type]
    return low.took([node], made, "squeeze")


def _linear(low: _Mapping, node: fx.Node) -> Made | str:
    """A linear layer is a convolution of width one over one long row of vectors."""
    given = arguments(node)
    x, weight, bias = given["x"], low.tensor(given["weight"]), low.tensor(given["bias"])
    flat = node.target is ops.flat_linear
    shaped = low.activation(given)
    if isinstance(shaped, str):
        return shaped
    # what answers is not rounded to half precision
    last = any(user.op == "output" for user in node.users)
    dtype = low.dtype if flat and not last else torch.float32
    packed = weight.flatten(1).T[None].to(dtype).contiguous()
    if flat:
        rows = low.call(aten.to.dtype, low.call(aten.flatten.using_ints, low.nlc(x), 1), dtype)
    else:
        rows = low.vector(x)
    made = low.kernel("conv1d", low.call(aten.unsqueeze.default, rows, 0), packed, bias, shaped[1],
                      activation=shaped[0])  # fmt: skip
    made = low.call(aten.to.dtype, low.call(aten.squeeze.dim, made, 0), torch.float32)
    return low.took([node], Made(made, "vector"), "conv1d of width 1")


def _max_pool(low: _Mapping, node: fx.Node) -> str:
    return "windows overlap, or stand apart from what a kernel ends"


def _global_max(low: _Mapping, node: fx.Node) -> str:
    return "one read of the map, which PyTorch does as well"


RULES: dict[Any, Callable[[_Mapping, fx.Node], Made | str]] = {
    ops.conv: _conv,
    ops.activate: _activate,
    ops.add: _add,
    ops.concat: _concat,
    ops.max_pool: _max_pool,
    ops.global_max: _global_max,
    ops.global_mean: _global_mean,
    ops.linear: _linear,
    ops.flat_linear: _linear,
    aten.mul.Tensor: _gate,
}
