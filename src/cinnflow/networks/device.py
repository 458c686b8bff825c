"""The device that TensorFlow computes on."""

from __future__ import annotations

import tensorflow as tf


def use_device(threads: int, member: int = 0) -> str:
    """Lets TensorFlow use one GPU where there is any, without taking its whole memory, and a number of CPU threads.

    Must come before anything is computed.

    Args:
        threads: CPU threads to use.
        member: which member of an ensemble computes; where there are several GPUs, members take them in turn.

    Returns:
        The device in words.
    """
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"the CPU, {threads} threads"
    gpu = gpus[member % len(gpus)]
    tf.config.set_visible_devices(gpu, "GPU")
    tf.config.experimental.set_memory_growth(gpu, True)
    return str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name))
