import math
import sys

import numpy as np
import pytest
import torch
from torch import nn

from dse.training.optimisers import NovoGrad, make_optimiser
from dse.training.recipe import Recipe


def parameter(*values):
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))


def test_novograd_by_hand():
    # w = (3, 4), g = (3, 4), |g|^2 = 25; lr 0.1, betas (0.5, 0.25), decay 0.01.
    # Step 1: v = 25;  m = g/5 + 0.01 w = (0.63, 0.84);             w = (2.937, 3.916).
    # Step 2: g = (0, 10), |g|^2 = 100: v = 0.25 * 25 + 0.75 * 100 = 81.25, sqrt 9.013878...
    #         m = (0.315, 0.42) + (0, 10) / 9.013878 + 0.01 (2.937, 3.916)
    w = parameter(3.0, 4.0)
    optimiser = NovoGrad([w], lr=0.1, betas=(0.5, 0.25), weight_decay=0.01, eps=0.0)
    w.grad = torch.tensor([3.0, 4.0], dtype=torch.float64)
    optimiser.step()
    assert w.tolist() == pytest.approx([2.937, 3.916], rel=1e-6)
    w.grad = torch.tensor([0.0, 10.0], dtype=torch.float64)
    optimiser.step()
    moment = [0.315 + 0.02937, 0.42 + 10 / math.sqrt(81.25) + 0.03916]
    assert w.tolist() == pytest.approx([2.937 - 0.1 * moment[0], 3.916 - 0.1 * moment[1]], rel=1e-6)


def nemo_step(weight, gradient, state, lr, beta1, beta2, decay):
    """The inner loop of NeMo's novograd.py, one tensor at a time."""
    norm = float(np.sum(gradient**2))
    state["v"] = norm if state["v"] == 0 else beta2 * state["v"] + (1 - beta2) * norm
    gradient = gradient / (math.sqrt(state["v"]) + 1e-8) + decay * weight
    state["m"] = beta1 * state["m"] + gradient
    return weight - lr * state["m"]


def test_novograd_follows_a_plain_loop():
    random = np.random.default_rng(1)
    shapes = [(4, 3, 5), (7,), (2, 6), ()]
    weights = [random.normal(size=shape) for shape in shapes]
    parameters = [nn.Parameter(torch.tensor(weight, dtype=torch.float32)) for weight in weights]
    states = [{"v": 0.0, "m": np.zeros(shape)} for shape in shapes]
    optimiser = NovoGrad(parameters, lr=0.05, betas=(0.95, 0.5), weight_decay=0.001)
    for step in range(20):
        for index, shape in enumerate(shapes):
            # The first gradients of one tensor are zero: its first step comes later.
            scale = 0.0 if index == 1 and step < 3 else 1.0
            gradient = random.normal(size=shape) * scale
            parameters[index].grad = torch.tensor(gradient, dtype=torch.float32)
            weights[index] = nemo_step(
                weights[index], gradient, states[index], 0.05, 0.95, 0.5, 0.001
            )
        optimiser.step()
    for weight, found in zip(weights, parameters, strict=True):
        np.testing.assert_allclose(found.detach().numpy(), weight, rtol=1e-4, atol=1e-5)


def test_novograd_leaves_parameters_without_gradient():
    used, unused = parameter(1.0), parameter(5.0)
    used.grad = torch.ones(1, dtype=torch.float64)
    NovoGrad([used, unused], lr=0.5, weight_decay=0.1).step()
    assert unused.item() == 5.0 and used.item() < 1.0


def test_novograd_goes_on_from_its_saved_state():
    def steps(w, optimiser, gradients):
        for gradient in gradients:
            w.grad = torch.tensor(gradient)
            optimiser.step()

    gradients = [[0.5, -1.0], [2.0, 0.1], [0.3, 0.7], [1.0, 1.0]]
    straight = nn.Parameter(torch.ones(2))
    steps(straight, NovoGrad([straight], lr=0.1, weight_decay=0.01), gradients)
    first = nn.Parameter(torch.ones(2))
    before = NovoGrad([first], lr=0.1, weight_decay=0.01)
    steps(first, before, gradients[:2])
    second = nn.Parameter(first.detach().clone())
    after = NovoGrad([second], lr=0.1, weight_decay=0.01)
    after.load_state_dict(before.state_dict())
    steps(second, after, gradients[2:])
    assert torch.equal(second, straight)


def test_adamw_takes_its_first_step_by_hand():
    # The first AdamW step is lr * sign(g) whatever the size of g, after w has shrunk by lr * decay.
    w = parameter(2.0, -3.0)
    recipe = Recipe(optimiser="adamw", learning_rate=0.1, weight_decay=0.5, betas=(0.9, 0.99))
    w.grad = torch.tensor([0.001, -50.0], dtype=torch.float64)
    make_optimiser([w], recipe).step()
    assert w.tolist() == pytest.approx([2 * 0.95 - 0.1, -3 * 0.95 + 0.1], rel=1e-4)


def test_sgd_takes_nesterov_steps_by_hand():
    # decay 0.5: g' = g + 0.5 w. Step 1: m = g', w -= lr (g' + 0.8 m).
    # w = 2, g = 1: g' = 2, m = 2, w = 2 - 0.1 (2 + 1.6) = 1.64.
    # g = 0: g' = 0.82, m = 1.6 + 0.82 = 2.42, w = 1.64 - 0.1 (0.82 + 1.936) = 1.3644.
    w = parameter(2.0)
    recipe = Recipe(optimiser="sgd", learning_rate=0.1, weight_decay=0.5, betas=(0.8, 0.0))
    optimiser = make_optimiser([w], recipe)
    w.grad = torch.ones(1, dtype=torch.float64)
    optimiser.step()
    assert w.item() == pytest.approx(1.64)
    w.grad = torch.zeros(1, dtype=torch.float64)
    optimiser.step()
    assert w.item() == pytest.approx(1.3644)


def test_each_name_is_its_optimiser():
    kinds = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD, "novograd": NovoGrad}
    for name, kind in kinds.items():
        recipe = Recipe(optimiser=name, learning_rate=0.02, weight_decay=0.03, betas=(0.7, 0.6))
        optimiser = make_optimiser([parameter(1.0)], recipe)
        assert isinstance(optimiser, kind)
        group = optimiser.param_groups[0]
        assert (group["lr"], group["weight_decay"]) == (0.02, 0.03)
        assert group.get("betas", (0.7, 0.6)) == (0.7, 0.6)
        assert group.get("momentum", 0.7) == 0.7


@pytest.mark.parametrize("name", ["adamw", "sgd", "novograd"])
def test_a_training_does_not_load_the_compiler_of_torch(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which takes seconds, in each process that trains."""
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # whoever loads it fails
    w = nn.Parameter(torch.ones(2))
    optimiser = make_optimiser([w], Recipe(optimiser=name))
    for _ in range(2):
        w.square().sum().backward()
        optimiser.step()
        optimiser.load_state_dict(optimiser.state_dict())
        optimiser.zero_grad()
    assert w.grad is None and w.max() < 1 and w.requires_grad
