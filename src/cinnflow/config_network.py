"""The part of a configuration that says which networks are trained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from cinnflow.config_section import Count, NoTruthValue, PlainValue, PositiveFloat, PositiveInt, Section

Activation = Literal["swish", "relu", "elu", "gelu", "tanh", "selu", "softplus"]


SUMMARY_NETWORKS = ("deep_set", "set_transformer", "time_series", "none")
"""Types of summary network that come with the package; any other is a class of the model file."""


class DeepSetNetwork(Section):
    """A network for exchangeable data."""

    type: Literal["deep_set"] = "deep_set"
    summary_dim: PositiveInt = Field(10, description="number of learned summary statistics")
    num_equiv: Count = Field(0, description="modules in which elements see the whole set")
    num_dense: PositiveInt = Field(2, description="dense layers in each part of a module")
    units: PositiveInt = Field(64, description="width of the dense layers")
    activation: Activation = "swish"


class SetTransformerNetwork(Section):
    """A network for exchangeable data whose elements attend to each other."""

    type: Literal["set_transformer"]
    summary_dim: PositiveInt = Field(10, description="number of learned summary statistics")
    num_attention_blocks: PositiveInt = Field(2, description="blocks of attention through inducing points")
    num_inducing_points: PositiveInt = Field(16, description="inducing points of each")
    num_seeds: PositiveInt = Field(1, description="learned queries that pool the set")
    num_heads: PositiveInt = Field(4, description="attention heads")
    units: PositiveInt = Field(64, description="number of channels; a multiple of num_heads")
    activation: Activation = "swish"

    @model_validator(mode="after")
    def _heads_share_the_units(self) -> SetTransformerNetwork:
        if self.units % self.num_heads:
            raise ValueError(f"units that are a multiple of num_heads = {self.num_heads}, not {self.units}")
        return self


class TimeSeriesNetwork(Section):
    """A network for time series."""

    type: Literal["time_series"]
    summary_dim: PositiveInt = Field(10, description="number of learned summary statistics")
    num_conv_layers: PositiveInt = Field(2, description="convolutions over time")
    filters: PositiveInt = Field(32, description="features of each")
    kernel_size: PositiveInt = Field(5, description="width of each, an odd number of time steps")
    recurrent_units: PositiveInt = Field(32, description="size of the recurrent network's state")
    units: PositiveInt = Field(64, description="width of the dense layers")
    activation: Activation = "swish"

    @field_validator("kernel_size")
    @classmethod
    def _windows_have_a_middle(cls, size: int) -> int:
        if size % 2 == 0:
            raise ValueError("an odd number")
        return size


class NoSummaryNetwork(Section):
    """No summary: the data go into the couplings as they are."""

    type: Literal["none"]


class ModelFileNetwork(Section):
    """A network of the model file: a Keras layer's class there, or a function that returns a layer.

    The other keys are its keyword arguments.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, PlainValue]

    type: str = Field(
        description="name of the class or function",
        json_schema_extra={"pattern": rf"^(?!({'|'.join(SUMMARY_NETWORKS)})$)[A-Za-z_][A-Za-z0-9_]*$"},
    )

    @field_validator("type")
    @classmethod
    def _type_is_a_name(cls, name: str) -> str:
        if not name.isidentifier():
            raise ValueError(f"{', '.join(SUMMARY_NETWORKS)}, or the name of a class of the model file")
        return name

    @property
    def settings(self) -> dict[str, Any]:
        """Keyword arguments for the class or function."""
        return dict(self.model_extra or {})


def _kind_of_summary(summary: Any) -> str:
    """Which of the sections a summary network's type asks for."""
    kind = summary.get("type") if isinstance(summary, dict) else getattr(summary, "type", None)
    return kind if kind in SUMMARY_NETWORKS else "model_file"


class InferenceNetwork(Section):
    """The conditional invertible network; names as in BayesFlow."""

    coupling: Literal["affine", "spline", "interleaved"] | None = Field(
        None, description="how entries are transformed; null: affine, or for a single parameter spline"
    )
    num_coupling_layers: PositiveInt = Field(6, description="coupling layers")
    num_dense: PositiveInt = Field(2, description="dense layers in each network of a coupling")
    units: PositiveInt = Field(128, description="width of these")
    activation: Activation = "swish"
    dropout_prob: Annotated[float, Field(ge=0, lt=1), NoTruthValue] | None = Field(
        None, description="share of units that training leaves out; null: by regime and number of simulations"
    )
    kernel_regularizer: Annotated[float, Field(ge=0), NoTruthValue] | None = Field(
        None, description="factor of the L2 penalty on kernels; null: by regime and number of simulations"
    )
    soft_clamping: PositiveFloat = Field(1.9, description="bound of the logarithm of the scale that one coupling gives")
    bins: Annotated[int, Field(ge=2, strict=True)] | None = Field(
        None, description="bins of a spline (spline and interleaved couplings); null: 16"
    )
    default_domain: PositiveFloat | None = Field(
        None, description="half the width of a spline's domain (spline and interleaved couplings); null: 5"
    )
    permutation: Literal["fixed", "learnable"] | None = Field(
        "fixed", description="what mixes entries between couplings"
    )
    use_act_norm: bool = Field(True, description="whether each layer starts with a learned scale and shift")
    use_soft_flow: bool = Field(False, description="whether training adds noise that the network is told of (SoftFlow)")

    @model_validator(mode="after")
    def _interleaved_layers_are_of_both_kinds(self) -> InferenceNetwork:
        if self.coupling == "interleaved" and self.num_coupling_layers < 2:
            raise ValueError(
                "num_coupling_layers from 2 on with the coupling interleaved: one affine, the next a spline"
            )
        return self

    @model_validator(mode="after")
    def _splines_alone_have_bins(self) -> InferenceNetwork:
        if self.coupling in ("affine", None) and (self.bins or self.default_domain):
            raise ValueError("bins and default_domain with the coupling spline or interleaved alone")
        return self


class Network(Section):
    """Summary and inference network of a study."""

    summary: Annotated[
        Annotated[DeepSetNetwork, Tag("deep_set")]
        | Annotated[SetTransformerNetwork, Tag("set_transformer")]
        | Annotated[TimeSeriesNetwork, Tag("time_series")]
        | Annotated[NoSummaryNetwork, Tag("none")]
        | Annotated[ModelFileNetwork, Tag("model_file")],
        Discriminator(_kind_of_summary),
    ] = DeepSetNetwork()
    summary_loss: Literal["mmd"] | None = Field(
        None,
        description="mmd: training also pulls the summaries towards a normal distribution, so that data unlike any "
        "simulation show",
    )
    inference: InferenceNetwork = InferenceNetwork()

    @model_validator(mode="after")
    def _a_summary_loss_has_summaries(self) -> Network:
        if self.summary_loss and self.summary.type == "none":
            raise ValueError("summary_loss with a summary network alone")
        return self

    @field_validator("summary", mode="before")
    @classmethod
    def _type_has_a_default(cls, summary: Any) -> Any:
        if not isinstance(summary, dict | Section):
            raise ValueError("a type and its settings, like {type: deep_set, summary_dim: 10}")
        return {"type": DeepSetNetwork().type, **summary} if isinstance(summary, dict) else summary
