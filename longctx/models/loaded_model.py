"""A model that is ready to generate, its longest sequence, and its scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from longctx.errors import BadRequest
from longctx.models.quantization import Quantization
from longctx.types import is_count
from rope_scaling import RopeScaling, RopeScalingError, carried_scaling

LARGEST_FACTOR = 32  # how far a method goes that is given by its name only: YaRN's 128K for the 4,096 of Llama 2


class ScalableModel(Protocol):
    """What planning and the check of a prompt have to know of a model; see `LoadedModel`."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def tokenizer(self) -> Any:
        """Its tokenizer."""

    @property
    def native_window(self) -> int:
        """The context length in tokens that it was trained for."""

    @property
    def scaling(self) -> str | RopeScaling | None:
        """The RoPE scaling that applies where a call names none."""

    @property
    def window(self) -> int:
        """The longest sequence in tokens."""

    @property
    def config(self) -> Any:
        """Its configuration, or a mapping with the same names."""

    @property
    def vocabulary_size(self) -> int:
        """How many tokens it knows."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to generate.

    Attributes:
        name: The model's name: a folder or a name on the hub; that of the base model, if there is an adapter.
        model: The transformers model.
        tokenizer: Its tokenizer.
        native_window: The context length in tokens that it was trained for; with a scaling that its checkpoint carries,
            the one that this reaches.
        scaling: The RoPE scaling that applies where a call names none: a `RopeScaling`, or the name of a method. A name
            leaves sequences within the native window unscaled, and scales longer ones by the smallest power of two that
            holds them.
        quantization: How its weights were quantized when they were loaded.
        adapter: The folder of its LoRA adapter.
        note: What a user should know of how it was loaded, such as a dtype that is not the checkpoint's own.
    """

    name: str
    model: Any
    tokenizer: Any
    native_window: int
    scaling: str | RopeScaling | None = None
    quantization: Quantization | None = None
    adapter: str | None = None
    note: str | None = None

    @property
    def window(self) -> int:
        """The longest sequence in tokens, prompt and answer together."""
        return scaled_window(self.native_window, self.scaling)

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self.model.config

    @property
    def text_config(self) -> Any:
        """The part of the configuration that is the language model's."""
        return self.model.config.get_text_config()

    @property
    def vocabulary_size(self) -> int:
        """How many tokens the model knows."""
        return int(self.model.get_input_embeddings().num_embeddings)

    @property
    def parameters(self) -> int:
        """How many parameters the model has."""
        from longctx.models.packing import packed_parameters

        return int(self.model.num_parameters()) + packed_parameters(self.model)

    @property
    def precision(self) -> str:
        """The dtype of the model's numbers, as text."""
        return str(self.model.dtype)

    @property
    def device_type(self) -> str:
        """Where the model runs: 'cpu' or 'cuda'."""
        return str(self.model.device.type)


def scaled_window(native_window: int, scaling: str | RopeScaling | None) -> int:
    """The longest sequence of a model under a scaling.

    Args:
        native_window: Its native window in tokens.
        scaling: The scaling, or the name of a method; None for none.

    Returns:
        Tokens, of prompt and answer together.
    """
    if scaling is None:
        return native_window
    if isinstance(scaling, str) or not scaling.is_fixed:
        return LARGEST_FACTOR * native_window
    return scaling.window or native_window


def extended_window(native_window: int, length: int) -> int:
    """The window for a sequence: the smallest power of two times the native window that holds it.

    Windows grow in such steps so that sequences of different lengths share their frequencies.

    Args:
        native_window: The native window in tokens.
        length: The length of the sequence in tokens.

    Returns:
        The window in tokens.
    """
    window = native_window
    while window < length:
        window *= 2
    return window


def check_window_and_scaling(window: object, scaling: object) -> None:
    """Check what a model is opened with.

    Args:
        window: Its native window in tokens; None is its own.
        scaling: A RoPE scaling, or the name of a method; None for none.

    Raises:
        BadRequest: For a value of another type, and for a window below 1.
    """
    if window is not None and not is_count(window, 1):
        raise BadRequest(f"native_window is {window!r}: give a whole number of tokens above 0")
    if scaling is not None and not isinstance(scaling, str | RopeScaling):
        raise BadRequest(f"scaling is {scaling!r}: give a RopeScaling, or the name of a method such as 'yarn'")


def trial_scaling(scaling: str | RopeScaling, window: int) -> RopeScaling:
    """The scaling that a model is tried under when it is loaded.

    Args:
        scaling: A scaling, or the name of a method, which is tried as far as it goes.
        window: The model's native window, in tokens.

    Returns:
        The scaling, with the native window in it.
    """
    if isinstance(scaling, str):
        return RopeScaling.for_window(scaling, LARGEST_FACTOR * window, window)
    return RopeScaling(**{"original_max_position_embeddings": window} | scaling.model_dump(exclude_none=True))


def carried(config: Any) -> RopeScaling | None:
    """The scaling that a model's checkpoint carries.

    Args:
        config: The model's configuration.

    Returns:
        The scaling; None for none, and for RoPE parameters that are not understood.
    """
    try:
        return carried_scaling(config)
    except RopeScalingError:
        return None
