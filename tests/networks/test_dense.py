"""A dense layer has the outputs and gradients of Keras's own, whatever the number of rows."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from cinnflow.networks import dense
from cinnflow.networks.dense import Dense

ON_CPU = pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="a GPU takes blocks")


@pytest.fixture
def on_gpu(monkeypatch):
    """The layer believes that it is on a GPU."""
    monkeypatch.setattr(dense, "_on_gpu", lambda: True)


def outputs_and_gradients(kind, x, **settings):
    layer = kind(5, activation="swish", kernel_initializer=keras.initializers.GlorotUniform(seed=1), **settings)
    layer.build(x.shape)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = tf.reduce_sum(tf.sin(y))
    return [y, *tape.gradient(loss, [x, *(weight.value for weight in layer.weights)])]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("shape", [(3, 64), (2, 40_000), (1030, 64), (21, 50, 32), (2, 515, 71)])
def test_it_agrees_with_keras(shape, use_bias):
    x = tf.constant(np.random.default_rng(0).standard_normal(shape), tf.float32)
    ours, theirs = (outputs_and_gradients(kind, x, use_bias=use_bias) for kind in (Dense, keras.layers.Dense))
    assert len(ours) == (4 if use_bias else 3)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures("on_gpu")
@pytest.mark.parametrize("shape", [(1024, 3), (50, 32, 4), (1031, 64), (31, 67, 8), (2, 40_000)])
def test_it_agrees_with_keras_on_a_gpu(shape):
    test_it_agrees_with_keras(shape, True)


def products(x_shape, kind="MatMul"):
    """The matrix products of a layer's forward and backward pass."""
    layer = Dense(5)
    layer.build(x_shape)

    @tf.function(autograph=False)
    def gradients(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(layer(x)))
        return tape.gradient(loss, layer.kernel.value)

    graph = gradients.get_concrete_function(tf.TensorSpec(x_shape, tf.float32)).graph
    return [operation for operation in graph.get_operations() if operation.type == kind]


@ON_CPU
@pytest.mark.parametrize(
    ("shape", "transposed"),
    [((1000, 64), False), ((1024, 32), True), ((1024, 31), False), ((20_000, 64), True), ((None, 64), False)],
)
def test_it_transposes_from_a_thousand_rows_on(shape, transposed):
    # Forward and of the kernel; in halves, that of x stands there too, and is left out when compiled.
    assert len(products(shape)) == (4 if transposed else 2)


@pytest.mark.usefixtures("on_gpu")
@pytest.mark.parametrize(("rows", "blocks"), [(1000, []), (1600, [25]), (128_000, [128]), (1031, [1])])
def test_a_gpu_takes_rows_in_blocks(rows, blocks):
    assert [product.outputs[0].shape[0] for product in products((rows, 4), "BatchMatMulV2")] == blocks


@ON_CPU
def test_compiled_it_still_transposes():
    layer = Dense(5)
    layer.build((1024, 32))

    @tf.function(autograph=False, jit_compile=True)
    def gradient(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(layer(x)))
        return tape.gradient(loss, layer.kernel.value)

    program = gradient.experimental_get_compiler_ir(tf.zeros((1024, 32)))(stage="optimized_hlo")
    taken = [line for line in program.splitlines() if " dot(" in line]
    assert len(taken) == 3
    # Contracted over rows, each of them would have {0} on the left.
    assert all("lhs_contracting_dims={1}" in line for line in taken)


def test_it_takes_a_number_of_data_sets_that_is_not_known():
    layer = Dense(5)
    layer.build((None, 30, 64))
    x = np.random.default_rng(0).standard_normal((40, 30, 64)).astype(np.float32)
    called = tf.function(layer, input_signature=[tf.TensorSpec((None, 30, 64), tf.float32)])
    np.testing.assert_allclose(called(x), layer(x), rtol=1e-4, atol=1e-5)
