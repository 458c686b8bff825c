"""Deep sets: a summary of exchangeable data that does not depend on their order."""

from __future__ import annotations

import keras
from keras import ops

from cinnflow.arguments import whole_number
from cinnflow.networks.dense import Dense
from cinnflow.networks.masking import MaskedLayer, element_count, with_spread, zero_missing
from cinnflow.networks.mlp import Mlp, activation_name
from cinnflow.networks.seeds import child_seeds


@keras.saving.register_keras_serializable(package="cinnflow")
class InvariantModule(MaskedLayer):
    """A function of a set: its elements, as they are and transformed one by one, averaged, then transformed once more.

        f(X) = ρ(h) + A h,    h = (Σᵢ φ(xᵢ) / (|X| + κ), Σᵢ xᵢ / (|X| + κ'), log(1 + |X|))

    The linear paths A and x let averages and the size of the set through as they are. Averages shrink as if κ > 0 more
    elements were there, a learned number for each channel that starts at 1: so does what a set says of its source, and
    few elements are no outliers among many.

    Args:
        output_dim: size of the summary; None leaves out ρ's linear layer.
        num_dense: number of dense layers in φ and in ρ.
        units: their width.
        activation: their activation.
        seed: seed of the initial weights.

    Reference:
        Zaheer et al. (2017), Deep sets, arXiv:1703.06114.
    """

    def __init__(
        self,
        output_dim: int | None = None,
        num_dense: int = 2,
        units: int = 64,
        activation: str = "swish",
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.output_dim = output_dim
        self.num_dense = num_dense
        self.units = units
        self.activation = activation_name(activation)
        self.seed = seed
        inner, outer, direct = child_seeds(seed, 3)
        self.elementwise = Mlp(num_dense, units, activation, seed=inner, dtype=self.dtype_policy)
        self.pooled = Mlp(num_dense, units, activation, output_dim, seed=outer, dtype=self.dtype_policy)
        self.linear = Dense(
            units if output_dim is None else output_dim,
            use_bias=False,
            kernel_initializer=keras.initializers.GlorotUniform(seed=direct),
            dtype=self.dtype_policy,
        )

    def build(self, x_shape, mask_shape=None) -> None:
        self.elementwise.build(x_shape)
        pooled_shape = (x_shape[0], self.units + x_shape[-1] + 1)
        self.pooled.build(pooled_shape)
        self.linear.build(pooled_shape)
        self.log_pseudo_count = self.add_weight(
            shape=(self.units + x_shape[-1],), initializer="zeros", name="log_pseudo_count"
        )

    def call(self, x, mask=None):
        """x (n, elements, channels), mask (n, elements) -> (n, output_dim or units)."""
        count = element_count(x, mask)
        transformed, plain = (ops.sum(zero_missing(each, mask), axis=1) for each in (self.elementwise(x), x))
        total = ops.concatenate([transformed, plain], axis=-1)
        pooled = ops.concatenate([total / (count + ops.exp(self.log_pseudo_count)), ops.log1p(count)], axis=-1)
        return self.pooled(pooled) + self.linear(pooled)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "output_dim": self.output_dim,
            "num_dense": self.num_dense,
            "units": self.units,
            "activation": self.activation,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="cinnflow")
class EquivariantModule(MaskedLayer):
    """A function of each element of a set and of the set as a whole; reordering the set reorders the result.

        gᵢ(X) = ρ(xᵢ, f(X)),    f an invariant module

    Args:
        num_dense: number of dense layers in ρ and in each part of f.
        units: their width, and the number of channels that come out.
        activation: their activation.
        seed: seed of the initial weights.

    Reference:
        Zaheer et al. (2017), Deep sets, arXiv:1703.06114.
    """

    def __init__(self, num_dense: int = 2, units: int = 64, activation: str = "swish", seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        self.num_dense = num_dense
        self.units = units
        self.activation = activation_name(activation)
        self.seed = seed
        inner, outer = child_seeds(seed, 2)
        self.invariant = InvariantModule(None, num_dense, units, activation, seed=inner, dtype=self.dtype_policy)
        self.elementwise = Mlp(num_dense, units, activation, seed=outer, dtype=self.dtype_policy)

    def build(self, x_shape, mask_shape=None) -> None:
        self.invariant.build(x_shape)
        self.elementwise.build(x_shape, (x_shape[0], 1, self.units))

    def call(self, x, mask=None):
        """x (n, elements, channels), mask (n, elements) -> (n, elements, units)."""
        return self.elementwise(x, self.invariant(x, mask=mask)[:, None, :])

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "num_dense": self.num_dense,
            "units": self.units,
            "activation": self.activation,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="cinnflow")
class DeepSet(MaskedLayer):
    """A summary of a set, whatever its order: equivariant modules, then an invariant one.

    It sees the number of elements beside their average, so that a larger set can say more, and the spread of each
    channel beside its values.

    Args:
        summary_dim: number of learned summary statistics.
        num_equiv: number of equivariant modules; none suffices where the data are independent given the parameters.
        num_dense: number of dense layers in each part of a module.
        units: their width.
        activation: their activation.
        seed: seed of the initial weights.

    Reference:
        Zaheer et al. (2017), Deep sets, arXiv:1703.06114; Bloem-Reddy & Teh (2020), arXiv:1901.06082.
    """

    def __init__(
        self,
        summary_dim: int = 10,
        num_equiv: int = 0,
        num_dense: int = 2,
        units: int = 64,
        activation: str = "swish",
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.summary_dim = whole_number("summary_dim", summary_dim)
        self.num_equiv = whole_number("num_equiv", num_equiv, 0)
        self.num_dense = num_dense
        self.units = units
        self.activation = activation_name(activation)
        self.seed = seed
        *seeds, last = child_seeds(seed, num_equiv + 1)
        self.equivariant = [
            EquivariantModule(num_dense, units, activation, seed=child, dtype=self.dtype_policy) for child in seeds
        ]
        self.invariant = InvariantModule(summary_dim, num_dense, units, activation, last, dtype=self.dtype_policy)

    def build(self, x_shape, mask_shape=None) -> None:
        shape = (*x_shape[:-1], 2 * x_shape[-1])
        for module in self.equivariant:
            module.build(shape)
            shape = (*shape[:-1], self.units)
        self.invariant.build(shape)

    def call(self, x, mask=None, training: bool = False):
        """x (n, elements, channels), mask (n, elements) true where an element is there -> (n, summary_dim)."""
        x = with_spread(zero_missing(x, mask), mask)
        for module in self.equivariant:
            x = module(x, mask=mask)
        return self.invariant(x, mask=mask)

    def compute_output_shape(self, x_shape, mask_shape=None):
        return (x_shape[0], self.summary_dim)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "summary_dim": self.summary_dim,
            "num_equiv": self.num_equiv,
            "num_dense": self.num_dense,
            "units": self.units,
            "activation": self.activation,
            "seed": self.seed,
        }
