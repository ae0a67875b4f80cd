"""`RopeScaling`: a scaling method and its parameters, checked together."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError, field_validator, model_validator

from rope_scaling.errors import InvalidScaling
from rope_scaling.formulas import Rotary
from rope_scaling.frequencies import METHODS
from rope_scaling.parameters import (
    BETA_FAST,
    BETA_SLOW,
    HIGH_FREQ_FACTOR,
    LOW_FREQ_FACTOR,
    WINDOW,
    ScalingParameters,
)
from rope_scaling.transformers_config import read_scaling

_RANGES = (  # the lower parameter and the higher one, with their defaults
    ("beta_slow", BETA_SLOW, "beta_fast", BETA_FAST),
    ("low_freq_factor", LOW_FREQ_FACTOR, "high_freq_factor", HIGH_FREQ_FACTOR),
)


class _Summarised(tuple[float, ...]):
    """Numbers whose repr is how many there are."""

    def __repr__(self) -> str:
        return f"<{len(self)} numbers>"


class RopeScaling(ScalingParameters):
    """One way to scale RoPE: a method and its parameters, checked together and frozen.

    Where a parameter may be None, that is the method's own default.

    Attributes:
        method: A name in `METHODS`.
        factor: s, by which the window is extended (α for `ntk`).
        original_max_position_embeddings: L, the window that the model was trained with, in tokens.
        beta_fast: YaRN: the rotations within L from which a pair's frequency is kept; 32 by default.
        beta_slow: YaRN: the rotations within L up to which a pair is interpolated; 1 by default.
        truncate: YaRN: whether the ends of its ramp are rounded to whole pairs; True by default.
        attention_factor: The final factor of cos and sin.
        mscale: Together with `mscale_all_dim`, another way to state that factor (DeepSeek's checkpoints).
        mscale_all_dim: See `mscale`.
        short_factor: LongRoPE: the divisor of each pair's frequency within L.
        long_factor: LongRoPE: the divisor of each pair's frequency past L.
        low_freq_factor: Llama 3: the rotations within L up to which a frequency is divided by s; 1 by default.
        high_freq_factor: Llama 3: the rotations within L from which a frequency is kept; 4 by default.
        clipped_pairs: CoPE: how many pairs, from the slowest on, are clipped; 5 of 16 by default.
        chunk_size: Dual chunk attention: the largest distance, in tokens; 3/4 of L by default.
        local_size: Dual chunk attention: how much of it is kept for the chunk before; L/16 by default.
        length: The sequence length, in tokens, that a method is fixed at if it depends on one; set by `at_length`.

    Raises:
        InvalidScaling: For parameters that make no scaling; the message names the value and the remedy.
    """

    if not TYPE_CHECKING:  # type checkers keep the signature that pydantic derives from the fields

        def __init__(self, **fields: Any) -> None:
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise InvalidScaling(_one_line(error, fields.get("method"))) from None

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            if value is not None:
                yield name, _Summarised(value) if isinstance(value, tuple) else value

    @field_validator("method")
    @classmethod
    def _check_method(cls, method: str) -> str:
        method = method_named(method)
        if method not in METHODS:
            near = difflib.get_close_matches(method.lower().replace("-", "_"), METHODS, n=1, cutoff=0)
            raise ValueError(f"unknown method {method!r}: did you mean {near[0]!r}? There are {', '.join(METHODS)}")
        return method

    @model_validator(mode="after")
    def _check_parameters(self) -> RopeScaling:
        entry = METHODS[self.method]
        given = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        surplus = given - entry.parameters - {"method", WINDOW, *(["length"] if entry.depends_on_length else [])}
        if surplus:
            name = min(surplus)
            raise ValueError(f"{self.method} does not take {name}={getattr(self, name)!r}: {_takes(self.method)}")
        missing = entry.required - given - (self.model_fields_set & {"factor"})
        if missing:
            remedy = "give it as a parameter" if len(missing) == 1 else "give them as parameters"
            if "long_factor" in missing:
                remedy = "they are fitted to one model, and come with its checkpoint: use yarn for another model"
            if WINDOW in missing:
                remedy = "give the window that the model was trained with, in tokens, such as 4096; it is never guessed"
            raise ValueError(f"{self.method} needs {' and '.join(sorted(missing))}: {remedy}")
        return self

    @model_validator(mode="after")
    def _check_ranges(self) -> RopeScaling:
        for low, low_default, high, high_default in _RANGES:
            small, large = getattr(self, low) or low_default, getattr(self, high) or high_default
            if small >= large:
                raise ValueError(f"{low} is {small} and {high} is {large}: {high} must be the larger")
        window = self.original_max_position_embeddings
        if self.method == "dca" and window is not None:
            size = self.chunk_size or window * 3 // 4
            local = self.local_size or window // 16
            if not 0 < local < size <= window or 2 * (size - local) <= size:
                raise ValueError(
                    f"chunk_size is {size} and local_size {local}, of a window of {window}: give a chunk that fits the "
                    "window, and a local_size above 0 and below half of it"
                )
        short, long = self.short_factor, self.long_factor
        if short and long and len(short) != len(long):
            raise ValueError(
                f"short_factor has {len(short)} numbers and long_factor {len(long)}: give one for each pair"
            )
        return self

    @classmethod
    def for_window(
        cls, method: str, window: int, original_max_position_embeddings: int, factor: float | None = None
    ) -> RopeScaling:
        """Make the fixed scaling that extends a model's window.

        Args:
            method: A name in `METHODS`; one that depends on the sequence length is fixed at `window`.
            window: The window to reach, in tokens.
            original_max_position_embeddings: The window that the model was trained with, in tokens.
            factor: The method's factor; None computes it from the two windows where the method requires one.

        Returns:
            The scaling.

        Raises:
            InvalidScaling: If `window` is below the original one, or `factor` leads to another window.
        """
        method, original = method_named(method), original_max_position_embeddings
        if window < original:
            raise InvalidScaling(
                f"a window of {window} tokens is below the native {original}: give {original} or more, "
                "or leave the model as it is"
            )
        fields: dict[str, Any] = {WINDOW: original}
        if factor is not None:
            fields["factor"] = factor
        elif method in METHODS and "factor" in METHODS[method].required:
            fields["factor"] = window / original
        scaling = cls(method=method, **fields).at_length(window)
        if scaling.window != window:
            raise InvalidScaling(
                f"{method} with factor {scaling.factor} leads from {original} tokens to {scaling.window}, "
                f"not to {window}: leave one of the two out"
            )
        return scaling

    @classmethod
    def from_config(cls, config: Any) -> RopeScaling:
        """Read the scaling that a checkpoint carries, from `rope_parameters` or the older `rope_scaling`.

        Args:
            config: A transformers configuration, or the mapping that its config.json holds.

        Returns:
            The scaling; method `default` for a checkpoint without one.

        Raises:
            UnsupportedConfig: For RoPE parameters that are not understood.
            InvalidScaling: For parameters that make no scaling.
        """
        return cls(**read_scaling(config))

    @property
    def is_fixed(self) -> bool:
        """Whether the method does not depend on the sequence length, or was fixed by `at_length`."""
        return self.length is not None or not METHODS[self.method].depends_on_length

    @property
    def window(self) -> int | None:
        """The extended window in tokens: L·s, or the length that it is fixed at; None without L."""
        if self.original_max_position_embeddings is None:
            return None
        if self.length is not None and self.method != "longrope":  # whose length only picks a set of factors
            return max(self.length, self.original_max_position_embeddings)
        return round(self.factor * self.original_max_position_embeddings)

    def at_length(self, n: int) -> RopeScaling:
        """Fix a scaling whose method depends on the sequence length.

        Args:
            n: The length of the sequence in tokens, prompt and answer together.

        Returns:
            The fixed scaling; the scaling itself if it was fixed before.

        Raises:
            InvalidScaling: If `n` is below 1.
        """
        return self if self.is_fixed else type(self)(**{**self.model_dump(exclude_unset=True), "length": n})

    def to_rope_parameters(
        self, rope_theta: float, rotary_dim: int | None = None, partial_rotary_factor: float | None = None
    ) -> dict[str, Any]:
        """Build the `rope_parameters` with which transformers 5 computes these frequencies.

        Args:
            rope_theta: The model's base θ, which `rope_parameters` hold too.
            rotary_dim: The number of rotated dimensions; only `ntk` and a fixed `dynamic_ntk` need it, to raise θ.
            partial_rotary_factor: The rotated part of each head; None if the model does not state one.

        Returns:
            The parameters, in types that JSON has.

        Raises:
            InvalidScaling: For a missing `rotary_dim`.
            LengthNeeded: For `dynamic_yarn` that is not fixed, which transformers does not have.
        """
        entry = METHODS[self.method]
        carried = entry.parameters | (entry.required & {WINDOW})
        written: dict[str, Any] = {"rope_type": entry.hf_type, "rope_theta": float(rope_theta)}
        written |= {name: getattr(self, name) for name in sorted(carried)}
        written["partial_rotary_factor"] = partial_rotary_factor
        written |= entry.hf_changes(self, Rotary(rotary_dim or 0, float(rope_theta)))
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in written.items()}
        return {name: value for name, value in plain.items() if value is not None}


_OTHER_NAMES = {"dynamic": "dynamic_ntk", "ntk_aware": "ntk", "position_interpolation": "linear"}


def method_named(name: str) -> str:
    """The name of a method as the registry has it: 'Dynamic-NTK' is 'dynamic_ntk'; so is transformers' 'dynamic'."""
    folded = re.sub(r"[-\s]+", "_", name.strip().lower())
    folded = _OTHER_NAMES.get(folded, folded)
    return folded if folded in METHODS else name


def _takes(method: str) -> str:
    return f"it takes {', '.join(sorted(METHODS[method].parameters | {WINDOW}))}"


def _one_line(error: ValidationError, method: Any) -> str:
    """Pydantic's first error as one sentence that names the parameter, the value and the remedy."""
    first = error.errors()[0]
    if first["type"] == "value_error":  # raised by the validators above
        return str(first["ctx"]["error"])
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden" and method in METHODS:
        return f"{method} does not take {name}={first['input']!r}: {_takes(method)}"
    if first["type"] == "missing":
        return f"{name} is missing: give it, such as {name}='yarn'"
    return f"{name} is {first['input']!r}: {first['msg'].replace('Input should be', 'it must be')}"
