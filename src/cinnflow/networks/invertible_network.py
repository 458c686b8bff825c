"""The conditional invertible network: a normalizing flow built of coupling layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from cinnflow.arguments import whole_number
from cinnflow.networks.act_norm import ActNorm
from cinnflow.networks.affine_coupling import AffineCoupling
from cinnflow.networks.bijection import Bijection
from cinnflow.networks.coupling import Coupling
from cinnflow.networks.mlp import activation_name
from cinnflow.networks.permutation import FixedPermutation, LearnablePermutation
from cinnflow.networks.seeds import child_seeds
from cinnflow.networks.spline_coupling import SplineCoupling

_COUPLINGS = {"affine": AffineCoupling, "spline": SplineCoupling}
_PERMUTATIONS = {"fixed": FixedPermutation, "learnable": LearnablePermutation}
_SOFT_FLOW_BOUNDS = (1e-3, 5e-2)


@keras.saving.register_keras_serializable(package="cinnflow")
class InvertibleNetwork(Bijection):
    """A conditional invertible network (cINN): act norm, permutation and two-sided coupling, several times over.

        forward:  x -> z,  log |det dz/dx|
        inverse:  z -> x,  log |det dx/dz|

    With SoftFlow, training adds noise of a random standard deviation to x and gives that standard deviation to the
    network as one more condition; densities and draws are those for a standard deviation of zero.

    Args:
        num_params: number of parameters.
        num_coupling_layers: number of coupling layers; at least 2 of the interleaved design.
        coupling_design: "affine", "spline", or "interleaved" (one after the other in turn). Affine ones of a single
            parameter make nothing but normal distributions.
        coupling_settings: keyword arguments of the couplings: `num_dense`, `dense_args`, `dropout`, `dropout_prob`,
            `soft_clamping`, and for splines `bins` and `default_domain`; for the interleaved design a dict
            {"affine": {...}, "spline": {...}} of them.
        permutation: "fixed", "learnable" or None, what mixes the parameters before each coupling.
        use_act_norm: whether each layer starts with a learned scale and shift.
        act_norm_init: vectors (n, num_params) from which these start, layer by layer; None starts at the identity, or
            for an amortized posterior, from the first simulations that it sees.
        use_soft_flow: whether to train with SoftFlow.
        soft_flow_bounds: smallest and largest standard deviation of its noise; by default 0.001 and 0.05.
        seed: seed of initial weights, permutations, dropout and SoftFlow.

    Raises:
        ValueError: for a setting that is none of these.

    Reference:
        Ardizzone et al. (2019), arXiv:1907.02392; Radev et al. (2020), BayesFlow, arXiv:2003.06281;
        Kim, Lee, Kang, Lee & Kim (2020), SoftFlow, arXiv:2006.04604.
    """

    def __init__(
        self,
        num_params: int,
        num_coupling_layers: int = 6,
        coupling_design: Literal["affine", "spline", "interleaved"] = "affine",
        coupling_settings: dict[str, Any] | None = None,
        permutation: Literal["fixed", "learnable"] | None = "fixed",
        use_act_norm: bool = True,
        act_norm_init: np.ndarray | None = None,
        use_soft_flow: bool = False,
        soft_flow_bounds: tuple[float, float] | None = None,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(num_params, **kwargs)
        if coupling_design not in (*_COUPLINGS, "interleaved"):
            raise ValueError(f"coupling_design takes affine, spline or interleaved, got {coupling_design!r}")
        if permutation not in (*_PERMUTATIONS, None):
            raise ValueError(f"permutation takes fixed, learnable or None, got {permutation!r}")
        num_coupling_layers = whole_number("num_coupling_layers", num_coupling_layers)
        if coupling_design == "interleaved" and num_coupling_layers < 2:
            raise ValueError(
                "the interleaved design takes num_coupling_layers from 2 on: one is affine, the next a spline"
            )
        if act_norm_init is not None and not use_act_norm:
            raise ValueError("act_norm_init has no effect with use_act_norm=False: leave out one of them")
        if soft_flow_bounds is not None and not use_soft_flow:
            raise ValueError("soft_flow_bounds has no effect with use_soft_flow=False: leave out one of them")
        soft_flow_bounds = np.asarray(_SOFT_FLOW_BOUNDS if soft_flow_bounds is None else soft_flow_bounds, float)
        if soft_flow_bounds.shape != (2,) or not 0 <= soft_flow_bounds[0] < soft_flow_bounds[1] < np.inf:
            raise ValueError(
                "soft_flow_bounds takes two standard deviations, the smaller one first, got "
                f"{soft_flow_bounds.tolist()}"
            )
        self.num_coupling_layers = num_coupling_layers
        self.coupling_design = coupling_design
        self.coupling_settings = _with_names(coupling_settings or {})
        self.permutation = permutation
        self.use_act_norm = use_act_norm
        self.act_norm_init = act_norm_init
        self.use_soft_flow = use_soft_flow
        self.soft_flow_bounds = tuple(soft_flow_bounds.tolist())
        self.seed = seed

        *seeds, noise_seed = child_seeds(seed, 2 * num_coupling_layers + 1)
        self.noise = keras.random.SeedGenerator(noise_seed)
        self.bijections: list[Bijection] = []
        for i in range(num_coupling_layers):
            if use_act_norm:
                self.bijections.append(ActNorm(num_params, dtype=self.dtype_policy))
            if permutation and num_params > 1:
                mixing = _PERMUTATIONS[permutation]
                self.bijections.append(mixing(num_params, seed=seeds[2 * i], dtype=self.dtype_policy))
            self.bijections.append(self._coupling(i, seeds[2 * i + 1]))

    def _coupling(self, index: int, seed: int) -> Bijection:
        design, settings = self.coupling_design, self.coupling_settings
        if design == "interleaved":
            if unknown := set(settings) - set(_COUPLINGS):
                raise ValueError(
                    "coupling_settings of an interleaved network takes a dict of settings for each of affine and "
                    f"spline, got {', '.join(sorted(unknown))}"
                )
            design = ("affine", "spline")[index % 2]
            settings = settings.get(design, {})
        try:
            return _COUPLINGS[design](self.num_params, seed=seed, dtype=self.dtype_policy, **settings)
        except TypeError as error:
            raise ValueError(f"coupling_settings of {design} couplings: {error}") from error

    def build(self, x_shape, condition_shape=None) -> None:
        if self.use_soft_flow:
            condition_shape = (*x_shape[:-1], 1 + (condition_shape[-1] if condition_shape is not None else 0))
        for bijection in self.bijections:
            bijection.build(x_shape, condition_shape)
        if self.act_norm_init is not None:
            self.initialize_act_norm(self.act_norm_init)

    def initialize_act_norm(self, x: np.ndarray) -> None:
        """Sets each act norm such that these vectors (n, num_params) leave it with mean 0 and standard deviation 1.

        For a network that is not trained yet: its couplings are the identity, and are left out.

        Raises:
            ValueError: for vectors of another shape.
        """
        x = np.asarray(x, self.compute_dtype)
        if x.ndim != 2 or x.shape[1] != self.num_params or not len(x):
            raise ValueError(f"act_norm_init takes vectors, shape (n, {self.num_params}), got {x.shape}")
        for bijection in self.bijections:
            if isinstance(bijection, Coupling):
                continue
            if isinstance(bijection, ActNorm):
                bijection.initialize(x)
            x = ops.convert_to_numpy(bijection(x)[0])

    def forward(self, x, condition=None, training: bool = False):
        if self.use_soft_flow:
            x, condition = self._soft_flow(x, condition, training)
        log_det = ops.zeros_like(x[..., 0])
        for bijection in self.bijections:
            x, step = bijection(x, condition, training=training)
            log_det = log_det + step
        return x, log_det

    def inverse(self, z, condition=None):
        if self.use_soft_flow:
            z, condition = self._soft_flow(z, condition, training=False)
        log_det = ops.zeros_like(z[..., 0])
        for bijection in reversed(self.bijections):
            z, step = bijection(z, condition, inverse=True)
            log_det = log_det + step
        return z, log_det

    def _soft_flow(self, x, condition, training: bool):
        """The vectors with noise, in training, and the condition with the noise's standard deviation."""
        low, high = self.soft_flow_bounds
        shape = (*ops.shape(x)[:-1], 1) if training or condition is None else (*ops.shape(condition)[:-1], 1)
        sd = ops.zeros(shape, dtype=self.compute_dtype)
        if training:
            sd = keras.random.uniform(shape, low, high, dtype=self.compute_dtype, seed=self.noise)
            x = x + sd * keras.random.normal(ops.shape(x), dtype=self.compute_dtype, seed=self.noise)
        # Scaled so that the largest standard deviation is a condition of 1.
        return x, sd / high if condition is None else ops.concatenate([condition, sd / high], axis=-1)

    @classmethod
    def from_config(cls, config: dict) -> InvertibleNetwork:
        # Networks without SoftFlow were saved with its bounds once.
        return cls(**{**config, "soft_flow_bounds": config["soft_flow_bounds"] if config["use_soft_flow"] else None})

    def get_config(self) -> dict:
        # act_norm_init only sets first values, which the saved weights hold.
        return {
            **super().get_config(),
            "num_coupling_layers": self.num_coupling_layers,
            "coupling_design": self.coupling_design,
            "coupling_settings": self.coupling_settings,
            "permutation": self.permutation,
            "use_act_norm": self.use_act_norm,
            "use_soft_flow": self.use_soft_flow,
            "soft_flow_bounds": self.soft_flow_bounds if self.use_soft_flow else None,
            "seed": self.seed,
        }


def _with_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of couplings, with activations by name, so that they can be saved."""
    named = {name: _with_names(value) if isinstance(value, Mapping) else value for name, value in settings.items()}
    return named | {name: activation_name(value) for name, value in settings.items() if name == "activation"}
