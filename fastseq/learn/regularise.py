"""Seven ways to train the same network, which change what its maps show more than its accuracy.

A regulariser stands between a batch and the loss: ``loss(x, y, objective, epoch)`` returns what to
differentiate, where ``objective(x, y)`` is the plain loss of model input and labels. The settings
are those of the regularisation study (Majdandzic et al. 2022 and the code behind it), each done as
its paper says.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from fastseq.errors import ModelError, OptionError

Objective = Callable[[Tensor, Tensor], Tensor]
BASES = 4  # strand and flag channels behind them are neither noisy nor attacked


class Standard:
    """No regulariser beyond what the network and the recipe have.

    Parameters
    ----------
    model : nn.Module
        The network that the objective runs.
    layers : list of nn.Module, optional
        What manifold methods may change the output of; the children of ``model.stages`` otherwise.
    """

    def __init__(self, model: nn.Module, layers: Sequence[nn.Module] | None = None):
        self.model = model
        self.layers = list(getattr(model, "stages", ()) if layers is None else layers)

    def loss(self, x: Tensor, y: Tensor, objective: Objective, epoch: int = 1) -> Tensor:
        """Return the scalar to differentiate for a batch.

        Parameters
        ----------
        x : float, (n, channels, length), or twice as many rows when both strands are conjoined
        y : float, (n, tasks)
        objective : callable
            Model input and labels to the mean loss.
        epoch : int
            Counted from 1.
        """
        return objective(x, y)

    def _drawn_layer(self) -> nn.Module | None:
        """Return one of the layers or None, which stands for the input, with equal chance."""
        if not self.layers:
            raise ModelError(
                f"a {type(self.model).__name__} has no stages; name the layers whose output "
                "manifold methods may change (layers=)"
            )
        return [None, *self.layers][int(torch.randint(len(self.layers) + 1, ()))]


class InputNoise(Standard):
    """Normal noise on the four bases of the input."""

    sd = 0.15

    def loss(self, x: Tensor, y: Tensor, objective: Objective, epoch: int = 1) -> Tensor:
        return objective(_noisy(x, self.sd), y)


class ManifoldNoise(Standard):
    """Normal noise on the input or on the output of one layer, drawn for every batch."""

    sd = 0.15

    def loss(self, x: Tensor, y: Tensor, objective: Objective, epoch: int = 1) -> Tensor:
        layer = self._drawn_layer()
        if layer is None:
            return objective(_noisy(x, self.sd), y)
        with _output_of(layer, lambda out: out + self.sd * torch.randn_like(out)):
            return objective(x, y)


class Mixup(Standard):
    """Inputs and labels mixed with those of another row (Zhang et al. 2018)."""

    alpha = 0.2

    def _mixture(self, x: Tensor, y: Tensor) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """Return what mixes an array of the rows of x, and the labels mixed alike."""
        share = torch.distributions.Beta(self.alpha, self.alpha).sample().to(x)
        partner = torch.randperm(len(y)).to(x.device)
        # conjoined strands are two rows of one sequence, which go together
        rows = torch.cat([partner + len(y) * copy for copy in range(len(x) // len(y))])
        return lambda z: share * z + (1 - share) * z[rows], share * y + (1 - share) * y[partner]

    def loss(self, x: Tensor, y: Tensor, objective: Objective, epoch: int = 1) -> Tensor:
        mix, labels = self._mixture(x, y)
        return objective(mix(x), labels)


class ManifoldMixup(Mixup):
    """Mixup of the input or of one layer's output, drawn for every batch (Verma et al. 2019)."""

    def loss(self, x: Tensor, y: Tensor, objective: Objective, epoch: int = 1) -> Tensor:
        mix, labels = self._mixture(x, y)
        layer = self._drawn_layer()
        if layer is None:
            return objective(mix(x), labels)
        with _output_of(layer, mix):
            return objective(x, labels)


class Adversarial(Standard):
    """Projected gradient descent: the worst input within a box (Madry et al. 2018).

    The first epochs are clean, then clean and adversarial losses are averaged, then all is
    adversarial. The attack runs in eval mode, so that it moves no running statistics.
    """

    radius, step, steps = 0.05, 0.01, 10
    clean_epochs, mixed_epochs = 5, 20

    def loss(self, x: Tensor, y: Tensor, objective: Objective, epoch: int = 1) -> Tensor:
        if epoch <= self.clean_epochs:
            return objective(x, y)
        adversarial = objective(self.attack(x, y, objective), y)
        if epoch <= self.mixed_epochs:
            return (objective(x, y) + adversarial) / 2
        return adversarial

    def attack(self, x: Tensor, y: Tensor, objective: Objective) -> Tensor:
        """Return the input within ``radius`` of x, base by base, that gradient ascent ends at."""
        moved = torch.zeros_like(x)
        modes = {module: module.training for module in self.model.modules()}
        self.model.eval()
        try:
            for _ in range(self.steps):
                here = (x + moved).detach().requires_grad_()
                (gradient,) = torch.autograd.grad(objective(here, y), here)
                moved = (moved + self.step * gradient.sign()).clamp(-self.radius, self.radius)
                moved[:, BASES:] = 0
        finally:
            for module, training in modes.items():
                module.training = training
        return (x + moved).detach()


class SpectralNorm(Standard):
    """A penalty on the square of every kernel's largest singular value (Yoshida & Miyato 2017)."""

    strength, iterations = 1e-3, 10

    def __init__(self, model: nn.Module, layers: Sequence[nn.Module] | None = None):
        super().__init__(model, layers)
        kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)
        self.kernels = [layer.weight for layer in model.modules() if isinstance(layer, kinds)]
        self.vectors: dict[Tensor, Tensor] = {}

    def loss(self, x: Tensor, y: Tensor, objective: Objective, epoch: int = 1) -> Tensor:
        penalty = sum(self.singular_value(kernel) ** 2 for kernel in self.kernels)
        return objective(x, y) + self.strength * penalty

    def singular_value(self, kernel: Tensor) -> Tensor:
        """Return the largest singular value of a kernel as (outputs, inputs x positions)."""
        matrix = kernel.flatten(1)
        with torch.no_grad():
            u = self.vectors.get(kernel)
            u = torch.randn(len(matrix), device=kernel.device) if u is None else u
            for _ in range(self.iterations):
                v = nn.functional.normalize(matrix.T @ u, dim=0)
                u = nn.functional.normalize(matrix @ v, dim=0)
            self.vectors[kernel] = u
        return u @ matrix @ v


REGULARISERS: dict[str, type[Standard]] = {
    "none": Standard,
    "mixup": Mixup,
    "manifold_mixup": ManifoldMixup,
    "noise": InputNoise,
    "manifold_noise": ManifoldNoise,
    "adversarial": Adversarial,
    "spectral_norm": SpectralNorm,
}


def regulariser(
    name: str, model: nn.Module, *, layers: Sequence[nn.Module] | None = None, **settings: float
) -> Standard:
    """Return a regulariser by name.

    Parameters
    ----------
    name : str
        A key of ``REGULARISERS``.
    model : nn.Module
    layers : list of nn.Module, optional
        See `Standard`.
    **settings
        ``sd`` of noise, ``alpha`` of mixup, ``radius``, ``step``, ``steps``, ``clean_epochs`` and
        ``mixed_epochs`` of the attack, ``strength`` and ``iterations`` of the spectral norm.

    Raises
    ------
    OptionError
        No such regulariser or setting.

    Examples
    --------
    >>> regulariser("noise", nn.Linear(2, 1), sd=0.3).sd
    0.3
    """
    if name not in REGULARISERS:
        raise OptionError(f"regulariser {name!r}; expected one of {', '.join(REGULARISERS)}")
    made = REGULARISERS[name](model, layers)
    for setting, value in settings.items():
        if not isinstance(getattr(type(made), setting, None), int | float):
            raise OptionError(f"regulariser {name!r} has no setting {setting!r}")
        if value < 0:
            raise OptionError(f"{setting}={value}; expected 0 or more")
        setattr(made, setting, value)
    return made


def _noisy(x: Tensor, sd: float) -> Tensor:
    noise = sd * torch.randn_like(x)
    noise[:, BASES:] = 0
    return x + noise


@contextmanager
def _output_of(layer: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Change what a layer hands on, while the context lasts."""

    def hand_on(_module: nn.Module, _inputs: tuple, out: Tensor) -> Tensor:
        return change(out)

    hook = layer.register_forward_hook(hand_on)
    try:
        yield
    finally:
        hook.remove()
