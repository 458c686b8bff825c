"""Which GPU a training takes: told with GPUs that TensorFlow is made to believe in."""

from types import SimpleNamespace

import pytest
import tensorflow as tf

from cinnflow.networks.device import use_device


@pytest.fixture
def gpus(monkeypatch):
    """Devices by name; those in use, and how their memory is taken, come to stand beside them."""
    devices = [SimpleNamespace(name=f"GPU:{i}", visible=False, grows=False) for i in range(2)]

    def see(gpu, kind):
        assert kind == "GPU"
        gpu.visible = True

    def grow(gpu, enable):
        assert gpu.visible
        gpu.grows = enable

    for name in ("intra", "inter"):
        monkeypatch.setattr(tf.config.threading, f"set_{name}_op_parallelism_threads", lambda _: None)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: devices)
    monkeypatch.setattr(tf.config, "set_visible_devices", see)
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", grow)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"device_name": f"card {gpu.name}"})
    return devices


@pytest.mark.parametrize(("member", "expected"), [(0, 0), (1, 1), (2, 0), (3, 1)])
def test_members_of_an_ensemble_take_gpus_in_turn_and_no_whole_memory(gpus, member, expected):
    assert use_device(2, member) == f"card GPU:{expected}"
    assert [gpu.visible and gpu.grows for gpu in gpus] == [i == expected for i in range(2)]
    assert not gpus[1 - expected].visible


def test_without_a_gpu_the_threads_are_told(gpus):
    gpus.clear()
    assert use_device(3) == "the CPU, 3 threads"
