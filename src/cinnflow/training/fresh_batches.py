"""The regimes that simulate while they train, online and replay: what they need before, and where batches come from.

Batches are simulated inside the compiled updates where that can be, and else ahead of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import tensorflow as tf

from cinnflow import config
from cinnflow.training.arrangement import Arrangement
from cinnflow.training.batches import Arrays, elements_under_mask
from cinnflow.training.compiled_updates import Complete
from cinnflow.training.purposes import Purpose
from cinnflow.training.simulated_batches import OnlineBatches, ReplayBatches
from cinnflow.training.simulation_ahead import SimulationAhead
from cinnflow.training.simulation_inside import SimulationInside

_PILOT_SIMULATIONS = 1024


@dataclass(frozen=True)
class FreshBatches:
    """What one training takes.

    Args:
        batches: its batches.
        complete: what makes prepared simulations of them inside the updates, where anything does.
        validation: simulations for the validation loss, or None.
        meaning: what tells its simulations from another model's, where a checkpoint asks for that.
    """

    batches: OnlineBatches
    complete: Complete | None
    validation: Arrays | None
    meaning: str


@contextmanager
def fresh_batches(
    settings: config.Training,
    validation_sims: int | Mapping | None,
    ahead: SimulationAhead,
    arrangement: Arrangement,
    seed_of: Callable[[Purpose], int],
    told_apart: bool,
) -> Iterator[FreshBatches]:
    """What one training takes; a posterior that has seen no simulations yet is adapted to some first.

    Args:
        settings: regime, epochs, iterations_per_epoch, batch_size and buffer_capacity.
        validation_sims: simulations for the validation loss, or how many to make.
        ahead: what makes the simulations, with the model.
        arrangement: how they come to the posterior.
        seed_of: the seed for a purpose of this training.
        told_apart: whether its simulations are to be told from another model's.
    """
    size, posterior = settings.batch_size, arrangement.amortizer
    padded_to = None
    if not posterior.adapted:
        pilot = arrangement.together(ahead.at_least(_PILOT_SIMULATIONS, seed_of("pilot"), size))
        padded_to = elements_under_mask(pilot)
    validation = arrangement.validation(validation_sims, ahead, seed_of("validation"), size)
    meaning = ""
    if told_apart:
        first, again = (ahead.at_least(1, seed_of("batches"), size) for _ in range(2))
        meaning = arrangement.meaning(first, again)
    sizes = {
        "batch_size": size,
        "updates_per_epoch": settings.iterations_per_epoch,
        "epochs": settings.epochs,
        "seed": seed_of("batches"),
    }
    if settings.regime == "online" and arrangement.by_posterior and SimulationInside.takes(ahead.model):
        inside = SimulationInside(ahead.model, posterior)
        with SimulationAhead(inside.draw, 0) as drawing:
            batches = OnlineBatches(drawing, inside.configure, inside.prepare, **sizes)
            yield FreshBatches(batches, inside, validation, meaning)
        return
    # Compiled, it passes over a block once, and leaves more of the cores to the updates that run meanwhile.
    prepare = tf.function(posterior.prepare, autograph=False, jit_compile=True)
    if settings.regime == "online":
        batches = OnlineBatches(ahead, arrangement.configure, prepare, **sizes, padded_to=padded_to)
    else:
        buffer = {"capacity": settings.buffer_capacity, "order_seed": seed_of("order")}
        batches = ReplayBatches(ahead, arrangement.configure, prepare, **sizes, padded_to=padded_to, **buffer)
    yield FreshBatches(batches, None, validation, meaning)
