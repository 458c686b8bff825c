"""Updates a second of the tutorial's network on a GPU, and their share of its roofline.

    python benchmarks/gpu.py

The roofline is what the device reaches here in a large matrix product, or what it moves of a large array where an
update moves more than it computes. The quickstart's simulator is a TensorFlow function, inside the compiled updates.
Where TensorFlow sees no GPU, nothing is measured, and that is said.
"""

from __future__ import annotations

import sys

import floor
import numpy as np
import pandas as pd
import tensorflow as tf

import cinnflow as cf
from cinnflow.networks.arithmetic import use_repeatable_arithmetic
from cinnflow.networks.device import use_device

BATCHES = (32, 256, 2048)
MATRIX, ARRAY = 8192, 2**28


def main() -> None:
    device = use_device(1)
    if not tf.config.list_physical_devices("GPU"):
        sys.stdout.write(
            "Nothing measured: TensorFlow sees no GPU here. Where the machine has one, install the extra `gpu` in place"
            " of `cpu`.\n"
        )
        return
    matrix, array = tf.random.stateless_normal((MATRIX, MATRIX), (1, 2)), tf.zeros(ARRAY)
    use_repeatable_arithmetic()
    computes = floor.rate(lambda: tf.reduce_sum(matrix @ matrix).numpy(), 2 * MATRIX**3)
    moves = floor.rate(lambda: (array + 1.0)[0].numpy(), 2 * 4 * ARRAY)
    sys.stdout.write(f"{device}: {computes / 1e12:.1f} TFLOP/s in a matrix product, {moves / 1e9:.0f} GB/s moved\n")
    rows = []
    for batch in BATCHES:
        found = updates_a_second(batch)
        least = max(floor.operations(batch) / computes, floor.bytes_moved(batch) / moves)
        rows.append({"batch": batch, "updates/s": f"{found:.4g}", "share of the roofline": f"{found * least:.1%}"})
    memory = tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e6
    sys.stdout.write(f"{pd.DataFrame(rows).to_markdown(index=False)}\n\nPeak memory: {memory:.0f} MB\n")


def updates_a_second(batch: int, updates: int = 500) -> float:
    """Online training of the tutorial's network: the median of three epochs after the one that compiles."""
    settings = {"dense_args": {"units": 128, "activation": "relu"}}
    posterior = cf.AmortizedPosterior(
        cf.InvertibleNetwork(floor.PARAMETERS, num_coupling_layers=4, coupling_settings=settings),
        cf.DeepSet(summary_dim=10, num_equiv=2, units=64, activation="relu"),
    )
    prior = cf.Prior(lambda rng, count: rng.standard_normal((count, floor.PARAMETERS)), batched=True)
    trainer = cf.Trainer(posterior, cf.GenerativeModel(prior, cf.TensorFlowSimulator(simulate)))
    history = trainer.train_online(epochs=4, iterations_per_epoch=updates, batch_size=batch)
    return updates / float(np.median(history.table()["seconds"][1:]))


def simulate(theta: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The quickstart's data (batch, elements, parameters)."""
    noise = tf.random.stateless_normal((theta.shape[0], floor.ELEMENTS, floor.PARAMETERS), seed)
    return tf.cast(theta[:, None], noise.dtype) + noise


if __name__ == "__main__":
    main()
