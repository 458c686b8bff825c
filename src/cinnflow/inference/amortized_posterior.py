"""The amortized posterior: networks, parameter bounds and standardization as one conditional density."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cinnflow.arguments import whole_number
from cinnflow.inference.configurator import Configurator
from cinnflow.inference.configured import check_configured, is_configured, with_an_element, zero_where_missing
from cinnflow.inference.drawing import draw
from cinnflow.inference.input_scale import InputScale
from cinnflow.inference.mmd import squared_mmd_to_normal
from cinnflow.inference.parameter_transform import ParameterTransform, bounds_of
from cinnflow.inference.parts import ROWS_AT_ONCE, in_parts, number_of, parts_of, rows_of, runs
from cinnflow.inference.raw_data import Data, raw_data
from cinnflow.inference.standardization import Standardization
from cinnflow.inference.summary_network import create_weights, summarize
from cinnflow.networks.arithmetic import use_repeatable_arithmetic
from cinnflow.networks.invertible_network import InvertibleNetwork

_FARTHEST = 1e4
"""Standard deviations beyond which networks see no difference, so that no number is too large for their arithmetic."""


@keras.saving.register_keras_serializable(package="cinnflow")
class AmortizedPosterior(keras.Layer):
    """The posterior p(parameters | data) for any data, as draws and as a density.

        θ -> u (bounds) -> x (standardized) -> z = f(x; summary(data), ...),     z ~ N(0, I)

    Args:
        inference_net: the invertible network f.
        summary_net: what condenses the summary conditions, called as summary_net(x), with a mask where there
            is one and in training with training=True; or None. It sees each channel twice: standardized, and on a
            logarithmic scale where the channel is heavy-tailed (else zeros).
        names: the parameters' names; by default theta_0, theta_1, ...
        lower: lower bounds, one for all parameters or one each; None and -inf mean no bound.
        upper: upper bounds, in the same way.
        summary_loss_fun: "MMD" adds the squared maximum mean discrepancy between the summaries and a standard normal
            distribution to the loss, so that unusual summaries betray a misspecified model; or None.
        configurator: how raw data are arranged for the networks; taken from the first data seen when None.

    Raises:
        TypeError: for networks that are none.
        ValueError: where names or bounds are not those of `inference_net.num_params` parameters.

    Reference:
        Radev et al. (2020), BayesFlow, arXiv:2003.06281; Schmitt et al. (2021), arXiv:2112.08866 (summary loss).
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
        configurator: Configurator | None = None,
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
        self.configurator = configurator
        self.adapted = False
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

    def adapt(self, theta: np.ndarray, data: Data) -> None:
        """Takes the data's layout and all means and standard deviations from training data.

        Args:
            theta: parameters (data sets, parameters).
            data: an array or a dict of arrays, or an already configured dict; first axis the data sets.

        Raises:
            ValueError: for parameters outside the bounds.
        """
        self.transform.check(theta, self.names)
        configured = self.configure(data)
        self.adapted = True
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

    def configure(self, data: Data) -> dict[str, np.ndarray]:
        """Raw data as summary_conditions, summary_mask and direct_conditions; an already configured dict as it is.

        Raises:
            ValueError: for raw data, where the posterior was trained on configured ones alone.
        """
        data = raw_data(data)
        if is_configured(data):
            return {n: np.asarray(array) for n, array in data.items() if n != "parameters" and array is not None}
        if self.configurator is None:
            if self.adapted:
                raise ValueError(
                    "this posterior was trained on configured data, and does not know how raw ones are arranged: give "
                    f"a dict of {', '.join(self._shapes)}"
                )
            self.configurator = Configurator.from_data(data, summary=self.summary_net is not None)
        return self.configurator(data)

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

    def sample(self, data: Data, n_samples: int, seed: int | None = None) -> np.ndarray:
        """Draws from the posterior of each data set.

        Args:
            data: an array, a dict of arrays, what a generative model gives, or a configured dict; first axis the data
                sets.
            n_samples: number of draws for each.
            seed: the same seed gives the same draws.

        Returns:
            Draws (data sets, n_samples, parameters), on the parameters' own scale and within their bounds.

        Raises:
            ValueError: for data of other names or shapes, that are not finite, or whose lengths contradict each other;
                for a number of draws below 1, or a seed that is no whole number from 0 on.
        """
        n_samples = whole_number("n_samples", n_samples)
        seed = None if seed is None else whole_number("seed", seed, 0)
        condition = self._in_parts(self._condition_of, data)
        return draw(self._invert, self._invert_compiled, condition, n_samples, len(self.names), seed)

    def log_prob(self, theta: np.ndarray, data: Data) -> np.ndarray:
        """log q(θ | data) of one or several parameter vectors for each data set.

        Args:
            theta: parameters (data sets, parameters) or (data sets, n, parameters), on their own scale.
            data: as for `sample`.

        Returns:
            Log-densities (data sets,) or (data sets, n); −inf outside the bounds, NaN where a parameter is NaN.
        """
        theta = np.asarray(theta, np.float64)
        configured = self._ready(data)
        count, num_params = number_of(configured), len(self.names)
        if theta.ndim not in (2, 3) or (theta.shape[0], theta.shape[-1]) != (count, num_params):
            raise ValueError(
                f"theta takes one parameter vector for each data set, shape ({count}, {num_params}), or several, "
                f"shape ({count}, n, {num_params}), got {theta.shape}"
            )
        each = theta.reshape(count, -1, num_params)
        log_prob = np.empty(each.shape[:2])
        for part in parts_of(configured, ROWS_AT_ONCE // max(1, each.shape[1])):
            condition = self._condition_of(rows_of(configured, part))
            for block in runs(each.shape[1], ROWS_AT_ONCE):
                values = each[part, block]
                inside = self.transform.inside(values) & ~np.isinf(values).any(axis=-1)
                outside = np.where(np.isnan(values).any(axis=-1), np.nan, -np.inf)
                log_prob[part, block] = np.where(inside, self._density(values, condition), outside)
        return log_prob.reshape(theta.shape[:-1])

    log_posterior = log_prob

    def summaries(self, data: Data) -> np.ndarray:
        """The learned summaries (data sets, summary_dim) of data, given as for `sample`.

        Raises:
            ValueError: where there is no summary network.
        """
        if self.summary_net is None:
            raise ValueError("this posterior has no summary network, and so no summaries")
        return self._in_parts(self._summaries_of, data)

    def conditions(self, data: Data) -> np.ndarray:
        """What the inference network knows of each data set: learned summaries and direct conditions, side by side.

        Args:
            data: as for `sample`.

        Returns:
            (data sets, entries); direct conditions are standardized.
        """
        return self._in_parts(self._condition_of, data)[:, 0]

    def _in_parts(self, function: Callable[[dict], tf.Tensor], data: Data) -> np.ndarray:
        """A function of configured data, over parts of them that fit memory."""
        return np.concatenate(list(in_parts(function, self._ready(data))))

    def _ready(self, data: Data) -> dict[str, np.ndarray]:
        if not self.adapted:
            raise ValueError("this posterior has seen no training data yet: train it, or load a trained one")
        data = raw_data(data)
        configured = self.configure(data)
        if is_configured(data):
            check_configured(configured, self._shapes)
            configured = zero_where_missing(configured)
        else:
            self.configurator.check(data)
        if not number_of(configured):
            raise ValueError("the data hold no data set")
        return with_an_element(configured)

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

    def save(self, path: str | Path) -> None:
        """Writes everything that `load` needs into one .keras file, at once or not at all.

        Raises:
            SummaryNetworkError: for a summary network of the user's own that `load` could not make again.
        """
        from cinnflow.inference.saving import save_posterior

        save_posterior(self, path)

    @classmethod
    def load(cls, path: str | Path) -> AmortizedPosterior:
        """The posterior that `save` wrote."""
        from cinnflow.inference.saving import read_posterior

        return read_posterior(path)

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
            "configurator": None if self.configurator is None else self.configurator.get_config(),
        }

    @classmethod
    def from_config(cls, config: dict) -> AmortizedPosterior:
        config = dict(config)
        for name in ("inference_net", "summary_net"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        if config["configurator"] is not None:
            config["configurator"] = Configurator(**config["configurator"])
        closest = config.pop("closest", None)  # fits of earlier versions do not know it
        posterior = cls(**config)
        if closest is not None:
            posterior.transform.closest[...] = closest
        return posterior

    def get_build_config(self) -> dict:
        return {"shapes": self._shapes}

    def build_from_config(self, config: dict) -> None:
        self.build(config["shapes"])
        self.built = self.adapted = True


def _condition(prepared: dict[str, tf.Tensor], summaries: tf.Tensor | None) -> tf.Tensor | None:
    """Summaries and direct conditions side by side; None where there are neither."""
    parts = [part for part in (summaries, prepared.get("direct_conditions")) if part is not None]
    return tf.concat(parts, axis=-1) if parts else None


def _log_normal(z: tf.Tensor) -> tf.Tensor:
    """Log-density (...,) of a standard normal distribution at z (..., parameters)."""
    return -0.5 * tf.reduce_sum(tf.square(z), axis=-1) - 0.5 * math.log(2.0 * math.pi) * z.shape[-1]
