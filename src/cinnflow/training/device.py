"""The device that TensorFlow computes on."""

from __future__ import annotations

import tensorflow as tf


def use_device(threads: int) -> str:
    """Lets TensorFlow use a GPU where there is one, without taking its whole memory, and a number of CPU threads.

    Must come before anything is computed.

    Args:
        threads: CPU threads to use.

    Returns:
        The device in words.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if gpus:
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name))
    return f"the CPU, {threads} threads"
