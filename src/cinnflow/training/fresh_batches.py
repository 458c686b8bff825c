"""Where the batches of a simulating regime come from: inside the compiled updates where they can, or ahead of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from cinnflow import config
from cinnflow.training.arrangement import Arrangement
from cinnflow.training.compiled_updates import Complete
from cinnflow.training.simulated_batches import OnlineBatches, ReplayBatches
from cinnflow.training.simulation_ahead import SimulationAhead
from cinnflow.training.simulation_inside import SimulationInside


@contextmanager
def fresh_batches(
    settings: config.Training,
    ahead: SimulationAhead,
    arrangement: Arrangement,
    seed: int,
    order_seed: int,
    padded_to: int | None = None,
) -> Iterator[tuple[OnlineBatches, Complete | None]]:
    """The batches of one training, and what completes them inside its updates, where anything does.

    Args:
        settings: regime, epochs, iterations_per_epoch, batch_size and buffer_capacity.
        ahead: what makes the simulations, with the model.
        arrangement: how they come to the posterior, which is adapted.
        seed: seed of the simulations.
        order_seed: seed of what is drawn from a replay buffer.
        padded_to: number of elements that sets are padded to; None where none has been so far.
    """
    sizes = {
        "batch_size": settings.batch_size,
        "updates_per_epoch": settings.iterations_per_epoch,
        "epochs": settings.epochs,
        "seed": seed,
    }
    posterior = arrangement.amortizer
    if settings.regime == "online" and arrangement.by_posterior and SimulationInside.takes(ahead.model):
        inside = SimulationInside(ahead.model, posterior)
        with SimulationAhead(inside.draw, 0) as drawing:
            yield OnlineBatches(drawing, inside.configure, inside.prepare, **sizes), inside
        return
    # Compiled, it passes over a block once, and leaves more of the cores to the updates that run meanwhile.
    prepare = tf.function(posterior.prepare, autograph=False, jit_compile=True)
    if settings.regime == "online":
        yield OnlineBatches(ahead, arrangement.configure, prepare, **sizes, padded_to=padded_to), None
    else:
        buffer = {"capacity": settings.buffer_capacity, "order_seed": order_seed}
        yield ReplayBatches(ahead, arrangement.configure, prepare, **sizes, padded_to=padded_to, **buffer), None
