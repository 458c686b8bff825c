"""The amortized posterior: a conditional density that is asked with data as a user has them, for draws or numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cinnflow.arguments import whole_number
from cinnflow.inference.conditional_density import ConditionalDensity
from cinnflow.inference.configurator import Configurator
from cinnflow.inference.configured import check_configured, is_configured, with_an_element, zero_where_missing
from cinnflow.inference.drawing import draw
from cinnflow.inference.parts import ROWS_AT_ONCE, in_parts, number_of, parts_of, rows_of, runs
from cinnflow.inference.raw_data import Data, raw_data
from cinnflow.networks.invertible_network import InvertibleNetwork


@keras.saving.register_keras_serializable(package="cinnflow")
class AmortizedPosterior(ConditionalDensity):
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
        super().__init__(
            inference_net,
            summary_net,
            names=names,
            lower=lower,
            upper=upper,
            summary_loss_fun=summary_loss_fun,
            **kwargs,
        )
        self.configurator = configurator
        self.adapted = False

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
        self.take_scales(theta, configured)

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

    def build_from_config(self, config: dict) -> None:
        super().build_from_config(config)
        self.adapted = True
