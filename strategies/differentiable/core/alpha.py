"""Architecture parameters: one number for each option of each decision, and Adam over all of them
(Liu et al. 2019, DARTS, arXiv 1806.09055, equation 2 and appendix A.1.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from search_space import checks
from search_space.errors import InputError

SPREAD = 1e-3  # of alpha at first, as DARTS starts it
_MOMENTS = {"first": "exp_avg", "second": "exp_avg_sq"}


class Alpha:
    """flat: (options of all decisions together,), on the CPU.

    lengths: options of each decision. rate, decay: of Adam; betas: of its two averages.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        seed: int,
        rate: float,
        decay: float,
        betas: tuple[float, float],
    ) -> None:
        checks.seed(seed)
        checks.number("alpha_rate", rate, least=0.0)
        checks.number("alpha_decay", decay, least=0.0)
        self.lengths = list(lengths)
        generator = torch.Generator().manual_seed(seed)
        self.flat = SPREAD * torch.randn(sum(self.lengths), generator=generator)
        self.flat.requires_grad_()
        self._adam = torch.optim.Adam([self.flat], lr=rate, betas=betas, weight_decay=decay)

    def split(self, flat: Tensor | None = None) -> tuple[Tensor, ...]:
        """The parameters, or what else there is one of for each option, by decision."""
        return torch.split(self.flat if flat is None else flat, self.lengths)

    def probabilities(self) -> list[Tensor]:
        """softmax(alpha) of each decision (equation 2), differentiable."""
        return [alpha.softmax(0) for alpha in self.split()]

    def settled(self) -> list[Tensor]:
        """The probabilities as numbers alone."""
        return [p.detach() for p in self.probabilities()]

    def gradient(self, loss: Tensor) -> Tensor:
        """Of a loss by alpha alone, so that no weight's gradient is computed: as `flat`."""
        (found,) = torch.autograd.grad(loss, [self.flat])
        return found

    def descend(self, gradient: Tensor) -> None:
        """One step of Adam. Raises `FloatingPointError` for a gradient that isn't finite."""
        if not gradient.isfinite().all():
            raise FloatingPointError("the gradient of alpha is not finite")
        self.flat.grad = gradient.detach().clone()
        self._adam.step()
        self.flat.grad = None

    def state(self) -> dict[str, Tensor]:
        """Alpha and Adam's averages, copied."""
        found = {"alpha": self.flat.detach().clone()}
        adam = self._adam.state.get(self.flat, {})
        if adam:
            found |= {name: adam[key].clone() for name, key in _MOMENTS.items()}
            found["steps"] = adam["step"].clone()
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Put back what `state` gave. Raises `InputError` where it has other options."""
        kept = state.get("alpha")
        if kept is None or kept.shape != self.flat.shape:
            shape = None if kept is None else tuple(kept.shape)
            raise InputError(
                f"the state of a differentiable search has alpha of {shape}, and the space's "
                f"options are {len(self.flat)}"
            )
        with torch.no_grad():
            self.flat.copy_(kept)
        self._adam.state.clear()
        if "steps" in state:
            self._adam.state[self.flat] = {
                "step": state["steps"].clone(),
                **{key: state[name].clone() for name, key in _MOMENTS.items()},
            }


def one_hot(index: int, length: int) -> Tensor:
    """Weight 1 on one option, (length,)."""
    weights = torch.zeros(length)
    weights[index] = 1
    return weights


def step_generator(seed: int, number: int) -> torch.Generator:
    """What a step draws from."""
    import numpy as np

    mixed = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(mixed[0]))
