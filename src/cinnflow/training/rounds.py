"""Training in rounds: each adds fresh simulations to all before, and the next round's are made while one trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

from cinnflow import config
from cinnflow.training.arrangement import Arrangement
from cinnflow.training.batches import Arrays, made_ahead, pad_and_stack
from cinnflow.training.defaults import complete_training
from cinnflow.training.held_out import held_apart
from cinnflow.training.purposes import Purpose
from cinnflow.training.simulation_ahead import SimulationAhead


@dataclass(frozen=True)
class Round:
    """One round of a training.

    Args:
        arrays: what it trains on: simulations of all rounds so far, configured.
        validation: simulations for its validation loss, or None.
        settings: with a value for each that the regime uses, by the number of simulations so far.
    """

    arrays: Arrays
    validation: Arrays | None
    settings: config.Training


def rounds_of(
    number: int,
    sim_per_round: int,
    chosen: config.Training,
    validation_sims: int | Mapping | None,
    ahead: SimulationAhead,
    arrangement: Arrangement,
    seed_of: Callable[[Purpose], int],
) -> Iterator[Round]:
    """The rounds, one after the other; each is to be trained before the next is asked for.

    Args:
        number: how many.
        sim_per_round: simulations that each adds.
        chosen: settings that the user has chosen.
        validation_sims: simulations for the validation loss, or how many to make; None: a share of each round's.
        ahead: what makes simulations.
        arrangement: how they come to the posterior.
        seed_of: the seed for a purpose of the training that comes next.
    """
    in_all = complete_training(chosen, number * sim_per_round)
    # One for all rounds: another batch size would be another program.
    size = min(in_all.batch_size, sim_per_round)
    chosen = chosen.model_copy(update={"batch_size": size})
    per_round = -(-sim_per_round // size)
    # Each round's are asked for on their own, so that none of the next one's come before the validation's.
    starts, seed = range(0, number * per_round, per_round), seed_of("batches")
    made = (list(ahead.batches(seed, size, start, start + per_round, per_round)) for start in starts)
    arranged = map(arrangement.together, made)
    first = next(arranged)
    validation = arrangement.validation(validation_sims, ahead, seed_of("validation"), size)
    simulations: list[Arrays] = []
    held_back: list[Arrays] = []
    with closing(made_ahead(chain([first], arranged))) as coming:
        for arrays in coming:
            arrays = {name: array[:sim_per_round] for name, array in arrays.items()}
            if validation_sims is None:
                count = max(1, round(in_all.validation_share * sim_per_round))
                arrays, held_out = held_apart(arrays, count, seed_of("validation"))
                held_back.append(held_out)
                validation = pad_and_stack(held_back)
            simulations.append(arrays)
            settings = complete_training(chosen, sim_per_round * len(simulations))
            yield Round(pad_and_stack(simulations), validation, settings)
