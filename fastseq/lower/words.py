"""What a node of a lowered graph computes, in words."""

from torch import fx

from fastseq.lower import ops


def words(node: fx.Node) -> str:
    """Return what one node of a lowered graph computes, in words."""
    word = getattr(node.target, "__name__", str(node.target))
    if node.target is ops.conv:
        _, weight, _, skip, stride, _, _, dilation, groups, activation, _ = node.args
        word += f" of {weight.meta['shape'][2]}"  # type: ignore[union-attr]
        word += f", stride {stride}" if stride != 1 else ""
        word += f", dilation {dilation}" if dilation != 1 else ""
        word += f", {groups} groups" if groups != 1 else ""
        word += " + skip" if skip is not None else ""
    else:
        activation = next((arg for arg in node.args if arg in ops.ACTIVATIONS), "none")
    return word if activation == "none" else f"{word}, {activation}"
