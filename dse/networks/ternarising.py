"""Generated ternary matrices in the place of a module's own 1x1 convolutions.

    module --policy--> some of its 1x1 convolutions --ternarise--> y = W x (+ bias), W generated

What may be replaced is a `Conv1d` or `Conv2d` of one tap without groups. Its bias stays trained.
The sums of a ternary row are larger than those of a dense one, by the root of density * inputs;
where a batch norm follows, as it does in most networks, that takes the scale out. Without one, what
comes behind has to learn it.

A matrix follows from a seed and the name of its layer, so a checkpoint has none: `state_dict` holds
the seed, density and generator of each, and refuses to be loaded where others made the matrices.

Which ones: a policy chooses, by the names that designs of ours use where they fit.

    all          each of them
    inner        all but the first and the last, which see raw features and make scores
    alternate    every second one
    half         from the last one on, as many as leave about half of the trained parameters
    PATTERN,...  those whose names fit: `blocks.*.mix`, `blocks.0.shortcut.0`
"""

import fnmatch
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from dse.errors import InvalidCheckpoint, InvalidDesign, short
from dse.networks.ternary_convolution import TernaryConv1d
from dse.ternary.generators import Generator, as_generator

POLICIES = ("all", "inner", "alternate", "half")
Place = nn.Conv1d | nn.Conv2d
"""What may be replaced, if it has one tap."""


class GeneratedConvolution(TernaryConv1d):
    """A generated 1x1 convolution that stands in another one's place, with its bias.

    Its entry of a `state_dict` is `made_from`, 16 numbers: the first bytes of a hash of all that
    the matrix follows from.
    """

    made_from: torch.Tensor

    def __init__(
        self, place: Place, *, layer: str, seed: int, density: float, generator: Generator
    ) -> None:
        """Take over widths, strides and bias of a convolution of one dimension or two."""
        super().__init__(
            place.in_channels,
            place.out_channels,
            density=density,
            generator=generator,
            seed=seed,
            layer=layer,
            stride=place.stride[0],
        )
        self.strides = place.stride
        self.bias = place.bias
        rule = f"{seed}/{layer}/{density}/{generator.label}/{tuple(self.weight.shape)}"
        digest = hashlib.sha256(rule.encode()).digest()[:16]
        self.register_buffer("made_from", torch.tensor(list(digest), dtype=torch.uint8))
        self.to(place.weight.device)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, ...) -> (N, out_channels, ...), the sizes divided by the strides."""
        weight = self.weight.to(inputs.dtype)
        if len(self.strides) == 1:
            return functional.conv1d(inputs, weight, self.bias, stride=self.strides)
        return functional.conv2d(inputs, weight.unsqueeze(-1), self.bias, stride=self.strides)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *others: Any, **more: Any
    ) -> None:
        found = state_dict.get(f"{prefix}made_from")
        if found is not None and not torch.equal(found.to(self.made_from.device), self.made_from):
            raise InvalidCheckpoint(
                f"the checkpoint's matrix of {self.layer} was not made from seed {self.seed}, "
                f"density {self.density:g} and {self.generator.label}: ternarise with the seed, "
                "density and generator that it was trained with"
            )
        super()._load_from_state_dict(state_dict, prefix, *others, **more)


def ternarise(
    module: nn.Module,
    policy: str | Sequence[str] = "inner",
    *,
    density: float = 0.25,
    seed: int = 1,
    generator: Generator | str = "lfsr_threshold",
) -> nn.Module:
    """Replace 1x1 convolutions of a module by generated ternary ones, in the module itself.

    It trains on as before, with fewer parameters: make its optimiser afterwards. To load what was
    saved, build the module, ternarise it alike, and load its `state_dict`.

    Args:
        module: any network.
        policy: one of `POLICIES`, or names and patterns of layers, in a text with commas between
            or in a list.
        density: share of entries that are not zero.
        seed: that all matrices follow from, each with the name of its layer.
        generator: the family that makes them, see `dse.ternary.generators`.

    Returns:
        The module.

    Raises:
        InvalidDesign: there is nothing to replace, a pattern fits no 1x1 convolution, or a
            generator cannot make this density.
    """
    if not isinstance(module, nn.Module):
        raise InvalidDesign(
            f"ternarise needs a torch.nn.Module, not {short(type(module).__name__)}"
        )
    chosen = _choose(module, policy)
    rule = as_generator(generator)
    made = {
        name: GeneratedConvolution(place, layer=name, seed=seed, density=density, generator=rule)
        for name, place in chosen.items()
    }
    for name, each in made.items():
        each.train(chosen[name].training)
        for parent in list(module.modules()):  # one convolution may stand in several places
            for own, child in list(parent.named_children()):
                if child is chosen[name]:
                    setattr(parent, own, each)
    return module


def matrices(module: nn.Module) -> dict[str, Place]:
    """The 1x1 convolutions that may be replaced, by name, in the module's own order."""
    return {
        name: each
        for name, each in module.named_modules()
        if isinstance(each, Place)
        and type(each) in (nn.Conv1d, nn.Conv2d)
        and set(each.kernel_size) == {1}
        and each.groups == 1
        and (isinstance(each.padding, str) or not any(each.padding))
        and name
    }


def _choose(module: nn.Module, policy: str | Sequence[str]) -> dict[str, Place]:
    found = matrices(module)
    if not found:
        raise InvalidDesign(
            f"{type(module).__name__} has no 1x1 convolution to replace: a Conv1d or Conv2d of "
            "one tap without groups is one"
        )
    names = list(found)
    if policy == "all":
        chosen = names
    elif policy == "inner":
        chosen = names[1:-1]
    elif policy == "alternate":
        chosen = names[1::2]
    elif policy == "half":
        chosen = list(_half(module, found))
    else:
        patterns = policy.split(",") if isinstance(policy, str) else list(policy)
        chosen = list(_fitting(names, [each.strip() for each in patterns]))
    if not chosen:
        raise InvalidDesign(
            f"policy {policy} replaces none of the {len(names)} 1x1 convolutions of "
            f"{type(module).__name__}: name them, {', '.join(names[:4])}"
        )
    return {name: found[name] for name in chosen}


def _half(module: nn.Module, found: dict[str, Place]) -> Iterator[str]:
    """The rule of `dse.design.replacement`: from the last on, where that comes nearer to half."""
    total = left = sum(each.numel() for each in module.parameters())
    for name, place in reversed(found.items()):
        without = left - place.weight.numel()
        if abs(2 * without - total) < abs(2 * left - total):
            left = without
            yield name


def _fitting(names: Sequence[str], patterns: Sequence[str]) -> Iterator[str]:
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise InvalidDesign(
                f"policy {short(pattern)} is none of {', '.join(POLICIES)}, and fits no 1x1 "
                f"convolution: there are {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}"
            )
    yield from (name for name in names if any(fnmatch.fnmatchcase(name, each) for each in patterns))
