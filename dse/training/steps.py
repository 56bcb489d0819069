"""One step of a training: scores, loss, gradients, optimiser; in parts where memory is short.

Gradient accumulation: with a batch in parts of weight W_p (clips, the sum of their class weights,
or characters), W in all, and mean losses L_p,

    loss of the batch = sum_p (W_p / W) L_p,      gradient = sum_p (W_p / W) gradient of L_p

so one step from all parts is that of the whole batch, but for batch norm, whose mean and variance
are those of a part. Activations are what fills the memory, and those of a part are free before the
next part begins.
"""

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from dse.design.point import DesignPoint
from dse.errors import TrainingFailed
from dse.networks.network import SpeechNetwork
from dse.training.allocation import give_back_freed_memory, keep_freed_memory
from dse.training.batches import Batch
from dse.training.devices import Computation, is_out_of_memory
from dse.training.fast import fast_scores
from dse.training.objective import Loss
from dse.training.recipe import Recipe
from dse.training.rounded import rounded_scores
from dse.training.sampled import plain_sampled, sampling_of


class Steps:
    """Makes steps; halves its batches when memory runs out, and keeps to that.

    A try that ran out of memory has already moved running statistics of batch norm and drawn random
    numbers for dropout, and is not undone: such a training is sound, but not repeatable bit for bit
    on a machine with other memory. `parts` tells whether it happened.
    """

    def __init__(
        self,
        network: SpeechNetwork,
        optimiser: torch.optim.Optimizer,
        recipe: Recipe,
        computation: Computation,
        objective: Loss,
    ) -> None:
        self.network = network
        self.optimiser = optimiser
        self.recipe = recipe
        self.computation = computation
        self.objective = objective
        if computation.device.type == "cpu":
            give_back_freed_memory()  # until a whole batch is known to fit
        self.rounded_of: DesignPoint | None = None
        """Design whose bits the scores are rounded to; None where they are not."""
        self.sampling = sampling_of(network, recipe.kept_share)
        self.parts = 1
        """Into so many each batch is divided; their gradients are added up."""

    def step(self, batch: Batch, rate: float) -> tuple[Tensor, Tensor]:
        """Move the weights once; returns the loss and what was wrong, by the weights before.

        Args:
            batch: on the device.
            rate: learning rate of this step; the optimiser's own is overwritten.

        Returns:
            The loss and the number of errors (`dse.training.objective`), scalars on the device.

        Raises:
            TrainingFailed: memory runs out even with two clips at a time.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        while True:
            found = self._try(batch)
            if found is not None:
                break
            give_back_freed_memory()  # else the limit leaves nothing to whoever asks the system
            # Two clips at least: batch norm compares them.
            if len(batch) < 4 * self.parts:
                raise TrainingFailed(
                    f"out of memory on {self.computation.device} even with "
                    f"{len(batch) // self.parts} of {len(batch)} clips at a time: take a smaller "
                    "design, or free memory"
                )
            self.parts *= 2
        if self.parts == 1 and self.computation.device.type == "cpu":
            # Only now: memory kept in pieces would make the search for a smaller batch fail.
            keep_freed_memory()
        if self.recipe.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        self.optimiser.step()
        return found

    def scores(self, batch: Batch) -> Tensor:
        """Scores in training mode, by the path and in the numbers of the computation."""
        if self.computation.fast and self.rounded_of is None:
            dtype = torch.bfloat16 if self.computation.bfloat16 else torch.float32
            return fast_scores(self.network, batch.pictures, dtype, self.sampling, batch.lengths)
        with nullcontext() if self.sampling is None else plain_sampled(self.sampling):
            return self._plain_scores(batch)

    def _plain_scores(self, batch: Batch) -> Tensor:
        pictures, lengths = batch.pictures, batch.lengths
        if self.rounded_of is not None:
            return rounded_scores(self.network, self.rounded_of, pictures, self.sampling, lengths)
        bfloat16 = self.computation.bfloat16
        with torch.autocast(pictures.device.type, dtype=torch.bfloat16, enabled=bfloat16):
            scores: Tensor = self.network(pictures, lengths)
        return scores

    def _try(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """Gradients of a batch; None where memory ran out. What was taken is free on return."""
        self.optimiser.zero_grad()
        try:
            return self._gradients(batch)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        if batch.pictures.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _gradients(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Add up the gradients of all parts in the parameters; returns loss and errors."""
        losses, errors = [], []
        whole = self.objective.weight(batch)
        # A smaller batch is divided into fewer: batch norm needs two clips in each part.
        for part in batch.parts(max(1, min(self.parts, len(batch) // 2))):
            found = self.scores(part)
            # The loss is a weighted mean; that of the whole batch is the same mean of its parts'.
            loss = self.objective.loss(found, part) * (self.objective.weight(part) / whole)
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
            errors.append(self.objective.errors(found.detach(), part))
        return torch.stack(losses).sum(), torch.stack(errors).sum()
