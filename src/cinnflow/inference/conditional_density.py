"""The conditional density that networks, parameter bounds and standardization make: all that TensorFlow computes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from cinnflow.inference.input_scale import InputScale
from cinnflow.inference.mmd import squared_mmd_to_normal
from cinnflow.inference.parameter_transform import ParameterTransform, bounds_of
from cinnflow.inference.standardization import Standardization
from cinnflow.inference.summary_network import create_weights, summarize
from cinnflow.networks.arithmetic import use_repeatable_arithmetic
from cinnflow.networks.invertible_network import InvertibleNetwork

_FARTHEST = 1e4
"""Standard deviations beyond which networks see no difference, so that no number is too large for their arithmetic."""


class ConditionalDensity(keras.Layer):
    """q(θ | data) of configured data, as one layer with its networks and scales.

    Arguments, errors and symbols are those of `AmortizedPosterior`, which adds what leads there from data as a user has
    them.
    """

    def __init__(
        self,
        inference_net: InvertibleNetwork,
        summary_net: keras.Layer | None = None,
        *,
        names: Sequence[str] | None = None,
        lower: float | Sequence[float] | np.ndarray | None = None,
        upper: float | Sequence[float] | np.ndarray | None = None,
        summary_loss_fun: str | None = None,
        **kwargs,
    ):
        use_repeatable_arithmetic()
        # Parameters and data arrive in double precision and are cast only once they are standardized.
        super().__init__(**{"autocast": False, **kwargs})
        if not isinstance(inference_net, InvertibleNetwork):
            raise TypeError(f"inference_net takes an InvertibleNetwork, got {inference_net!r}")
        if summary_net is not None and not isinstance(summary_net, keras.Layer):
            raise TypeError(f"summary_net takes a Keras layer, or None, got {summary_net!r}")
        if summary_loss_fun not in (None, "MMD"):
            raise ValueError(f'summary_loss_fun takes "MMD" or None, got {summary_loss_fun!r}')
        self.inference_net = inference_net
        self.summary_net = summary_net
        num_params = inference_net.num_params
        if isinstance(names, str):
            raise ValueError(f"names takes a list of names, got {names!r}")
        self.names = [str(name) for name in names or [f"theta_{i}" for i in range(num_params)]]
        if len(self.names) != num_params or len(set(self.names)) != num_params:
            raise ValueError(f"names takes {num_params} different names, got {', '.join(self.names)}")
        self.transform = ParameterTransform(
            bounds_of("lower", lower, -np.inf, num_params), bounds_of("upper", upper, np.inf, num_params)
        )
        self.summary_loss_fun = summary_loss_fun
        self.parameter_scale = Standardization(num_params)
        self.summary_scale: InputScale | None = None
        self.direct_scale: InputScale | None = None
        self.mmd_seed = keras.random.SeedGenerator(inference_net.seed)

    @property
    def lower(self) -> np.ndarray:
        """Lower bounds (parameters,)."""
        return self.transform.lower

    @property
    def upper(self) -> np.ndarray:
        """Upper bounds (parameters,)."""
        return self.transform.upper

    def build(self, configured_shape: dict[str, tuple]) -> None:
        """Creates all weights for configured data of these shapes, by name."""
        shapes = {name: tuple(shape) for name, shape in configured_shape.items()}
        condition_dim = 0
        if "summary_conditions" in shapes:
            if self.summary_net is None:
                raise ValueError("summary_conditions take a summary network, and this posterior has none")
            shape = shapes["summary_conditions"]
            self.summary_scale = InputScale(shape[-1])
            self.summary_scale.build()
            shape = (*shape[1:-1], self.summary_scale.output_channels)
            condition_dim += create_weights(self.summary_net, shape, self.compute_dtype)
        if "direct_conditions" in shapes:
            self.direct_scale = InputScale(shapes["direct_conditions"][-1])
            self.direct_scale.build()
            condition_dim += self.direct_scale.output_channels
        self.parameter_scale.build()
        if not self.inference_net.built:
            condition_shape = (None, condition_dim) if condition_dim else None
            self.inference_net.build((None, self.inference_net.num_params), condition_shape)
        self._shapes = {name: list(shape) for name, shape in shapes.items()}

    def take_scales(self, theta: np.ndarray, configured: dict[str, np.ndarray]) -> None:
        """Takes all means and standard deviations from training data, and creates the weights where there are none.

        Args:
            theta: parameters (data sets, parameters), within the bounds.
            configured: conditions by the networks' names, first axis the data sets.
        """
        new = not self.built
        if new:
            self.build({name: (None, *np.shape(array)[1:]) for name, array in configured.items()})
            self.built = True
        self.transform.adapt(theta)
        u = self.transform.forward(theta)[0].numpy()
        self.parameter_scale.adapt(u)
        if new and self.inference_net.act_norm_init is None:
            self.inference_net.initialize_act_norm(self._seen(self.parameter_scale(u)).numpy())
        if self.summary_scale is not None:
            self.summary_scale.adapt(configured["summary_conditions"], configured.get("summary_mask"))
        if self.direct_scale is not None:
            self.direct_scale.adapt(configured["direct_conditions"])

    def prepare(self, configured: dict) -> dict[str, tf.Tensor]:
        """Configured data, with or without parameters, as what the networks see: standardized, in their precision.

        `parameters` comes with `log_det` (data sets,), the logarithm of what standardizing did to their density.
        """
        prepared = {}
        if "parameters" in configured:
            prepared["parameters"], prepared["log_det"] = self._prepare_parameters(configured["parameters"])
        if self.summary_scale is not None:
            prepared["summary_conditions"] = self._seen(self.summary_scale(configured["summary_conditions"]))
        if "summary_mask" in configured:
            prepared["summary_mask"] = tf.cast(configured["summary_mask"], "bool")
        if self.direct_scale is not None:
            prepared["direct_conditions"] = self._seen(self.direct_scale(configured["direct_conditions"]))
        return prepared

    def _prepare_parameters(self, theta) -> tuple[tf.Tensor, tf.Tensor]:
        u, log_det = self.transform.forward(theta)
        return self._seen(self.parameter_scale(u)), log_det + self.parameter_scale.log_det()

    def _seen(self, standardized: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(tf.cast(standardized, self.compute_dtype), -_FARTHEST, _FARTHEST)

    def summarize(self, prepared: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The learned summaries (data sets, summary_dim) of prepared data."""
        return tf.cast(summarize(self.summary_net, prepared, training), self.compute_dtype)

    def compute_loss(self, prepared: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The mean of −log q(θ | data) over prepared data (), on the parameters' own scale.

        In training, the summary loss comes on top: it draws at random, and does not say how good the posterior is.
        """
        summaries = self.summarize(prepared, training) if self.summary_scale is not None else None
        z, log_det = self.inference_net(prepared["parameters"], _condition(prepared, summaries), training=training)
        loss = -tf.reduce_mean(_log_normal(z) + log_det + tf.cast(prepared["log_det"], z.dtype))
        if training and self.summary_loss_fun == "MMD" and summaries is not None:
            loss += squared_mmd_to_normal(summaries, self.mmd_seed)
        return loss

    def call(self, configured: dict, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """Configured data with parameters -> z (data sets, parameters) and log |det dz/dθ| (data sets,)."""
        prepared = self.prepare(configured)
        summaries = self.summarize(prepared, training) if self.summary_scale is not None else None
        z, log_det = self.inference_net(prepared["parameters"], _condition(prepared, summaries), training=training)
        return z, tf.cast(log_det, tf.float64) + prepared["log_det"]

    @tf.function(autograph=False, reduce_retracing=True)
    def _summaries_of(self, configured: dict) -> tf.Tensor:
        return self.summarize(self.prepare(configured))

    @tf.function(autograph=False, reduce_retracing=True)
    def _density(self, theta: tf.Tensor, condition: tf.Tensor | None) -> tf.Tensor:
        x, log_det_prepared = self._prepare_parameters(theta)
        z, log_det = self.inference_net(x, condition)
        return tf.cast(_log_normal(z) + log_det, tf.float64) + log_det_prepared

    @tf.function(autograph=False, reduce_retracing=True)
    def _condition_of(self, configured: dict) -> tf.Tensor | None:
        prepared = self.prepare(configured)
        summaries = self.summarize(prepared) if self.summary_scale is not None else None
        condition = _condition(prepared, summaries)
        return None if condition is None else condition[:, None, :]

    @tf.function(autograph=False, reduce_retracing=True)
    def _invert(self, z: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        return self._inverse(z, condition)

    @tf.function(autograph=False, jit_compile=True)
    def _invert_compiled(self, z: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(lambda piece: self._inverse(*piece), (z, condition), fn_output_signature=tf.float64)

    def _inverse(self, z: tf.Tensor, condition: tf.Tensor) -> tf.Tensor:
        x, _ = self.inference_net(z, condition, inverse=True)
        return self.transform.inverse(self.parameter_scale.inverse(x))

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "inference_net": keras.saving.serialize_keras_object(self.inference_net),
            "summary_net": keras.saving.serialize_keras_object(self.summary_net),
            "names": self.names,
            "lower": [float(bound) if np.isfinite(bound) else None for bound in self.lower],
            "upper": [float(bound) if np.isfinite(bound) else None for bound in self.upper],
            "closest": self.transform.closest.tolist(),
            "summary_loss_fun": self.summary_loss_fun,
        }

    def get_build_config(self) -> dict:
        return {"shapes": self._shapes}

    def build_from_config(self, config: dict) -> None:
        self.build(config["shapes"])
        self.built = True


def _condition(prepared: dict[str, tf.Tensor], summaries: tf.Tensor | None) -> tf.Tensor | None:
    """Summaries and direct conditions side by side; None where there are neither."""
    parts = [part for part in (summaries, prepared.get("direct_conditions")) if part is not None]
    return tf.concat(parts, axis=-1) if parts else None


def _log_normal(z: tf.Tensor) -> tf.Tensor:
    """Log-density (...,) of a standard normal distribution at z (..., parameters)."""
    return -0.5 * tf.reduce_sum(tf.square(z), axis=-1) - 0.5 * math.log(2.0 * math.pi) * z.shape[-1]
