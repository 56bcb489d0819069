"""Optimisers of a recipe: AdamW and SGD of torch, and NovoGrad.

NovoGrad for each parameter tensor w with gradient g, step size lr, decay d:

    v <- |g|^2 at the first step, then beta2 v + (1 - beta2) |g|^2      one number a tensor
    m <- beta1 m + g / (sqrt(v) + eps) + d w
    w <- w - lr m

A tensor's step is normalised by the running length of its gradient, so it does not depend on how
large the gradients of that layer happen to be, and the second moment is one number where Adam keeps
one for each weight. The decay goes through the momentum, which is a sum and not a mean: weights
shrink by about lr d / (1 - beta1) a step, 20 times lr d at beta1 = 0.95. The same factor holds for
the normalised gradient: learning rates of other optimisers cannot be carried over.

Source: Ginsburg et al., arXiv 1905.11286, as in NeMo (nemo/core/optim/novograd.py), which starts m
at 0 and does not average the gradient (`grad_averaging=False`).
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from dse.training.recipe import Recipe


class _Uncompiled(torch.optim.Optimizer):
    """An optimiser that does without torch's compiler, which nothing here compiles with.

    torch wraps these methods so that its compiler passes them over, and loads all of the compiler
    to tell it so: three seconds at the start of each process that trains. The methods themselves
    stand below the wrappers, and are the same ones.
    """

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)


class _AdamW(_Uncompiled, torch.optim.AdamW):
    """AdamW of torch. The wrapper of its step turns gradients off, too, which is kept."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


class _SGD(_Uncompiled, torch.optim.SGD):
    """SGD of torch, likewise."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


class NovoGrad(_Uncompiled):
    """NovoGrad; all tensors of a group are updated by a handful of fused loops.

    The equations stand at the head of this module. State of a parameter: `momentum`, of its shape,
    and `squared_norm`, a scalar. Gradients of bfloat16 products arrive here as float32, as the
    parameters are.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float,
        betas: tuple[float, float] = (0.95, 0.5),
        weight_decay: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(
            parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay, "eps": eps}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update all parameters that have a gradient; the others keep their state.

        Args:
            closure: computes the loss anew, as torch's optimisers take it.

        Returns:
            What `closure` gave, or None without it.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                self._step(parameters, group)
        return loss

    def _step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """One step of a group: `torch._foreach_*` takes all its tensors in one call each.

        A loop over tensors would spend more time in Python than in arithmetic: a small network has
        dozens of tensors, most of them gains and offsets of a few hundred bytes.
        """
        beta1, beta2 = group["betas"]
        gradients = [p.grad for p in parameters if p.grad is not None]
        for p in parameters:
            if not self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
                self.state[p]["squared_norm"] = torch.zeros((), device=p.device)
        squared = torch.stack(torch._foreach_norm(gradients)).float().square()
        before = torch.stack([self.state[p]["squared_norm"] for p in parameters])
        # As in NeMo, a tensor whose gradients were all zero so far has not had its first step.
        after = torch.where(before == 0, squared, beta2 * before + (1 - beta2) * squared)
        for p, value in zip(parameters, after, strict=True):
            self.state[p]["squared_norm"].copy_(value)
        scales = (after.sqrt() + group["eps"]).unbind()
        directions = list(torch._foreach_div(gradients, list(scales)))
        if group["weight_decay"]:
            torch._foreach_add_(directions, parameters, alpha=group["weight_decay"])
        momenta = [self.state[p]["momentum"] for p in parameters]
        torch._foreach_mul_(momenta, beta1)
        torch._foreach_add_(momenta, directions)
        torch._foreach_add_(parameters, momenta, alpha=-group["lr"])


def make_optimiser(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """The optimiser of a recipe, at its highest learning rate.

    Weight decay is decoupled from the loss in `adamw`; in `sgd` it is added to the gradient, in
    `novograd` to the normalised gradient. It is applied to all parameters, gains and offsets of
    batch norm included, as torch and NeMo do. Ternary matrices are buffers: they neither move nor
    decay.

    Args:
        parameters: of the network, on the device that it will be trained on.
        recipe: optimiser, learning rate, weight decay, betas.

    Raises:
        ValueError: the recipe names no optimiser of this module.
    """
    rate, decay = recipe.learning_rate, recipe.weight_decay
    beta1, beta2 = recipe.betas
    # `fused` is one kernel for all tensors: a third of the time of the loop
    # (docs/how-to/training.md).
    if recipe.optimiser == "adamw":
        return _AdamW(parameters, lr=rate, betas=(beta1, beta2), weight_decay=decay, fused=True)
    if recipe.optimiser == "sgd":
        return _SGD(
            parameters,
            lr=rate,
            momentum=beta1,
            nesterov=beta1 > 0,
            weight_decay=decay,
            fused=True,
        )
    if recipe.optimiser == "novograd":
        return NovoGrad(parameters, lr=rate, betas=(beta1, beta2), weight_decay=decay)
    raise ValueError(f"no optimiser {recipe.optimiser!r}")
