"""`RopeScaling`: which method, how much, and from which original window. A value; it knows no model."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)

from rope_scaling.errors import InvalidScaling
from rope_scaling.formulas import BETA_FAST, BETA_SLOW, HIGH_FREQ_FACTOR, LOW_FREQ_FACTOR, Rotary
from rope_scaling.frequencies import METHODS
from rope_scaling.transformers_config import read_scaling

RANGES = (
    (("beta_slow", BETA_SLOW), ("beta_fast", BETA_FAST)),
    (("low_freq_factor", LOW_FREQ_FACTOR), ("high_freq_factor", HIGH_FREQ_FACTOR)),
)
PositiveFloat = Annotated[FiniteFloat, Field(gt=0)]
# JSON has lists only; everything else is taken as it is or refused
Factors = Annotated[tuple[PositiveFloat, ...], Field(strict=False, min_length=1)]


class _Many(tuple[float, ...]):
    """Numbers of which a message tells how many there are."""

    def __repr__(self) -> str:
        return f"<{len(self)} numbers>"


class RopeScaling(BaseModel):
    """One way to scale RoPE: the method's name and its parameters, checked and frozen.

    `factor` is s, the scale (α for `ntk`); `original_max_position_embeddings` is L, the window that the model
    was trained with, in tokens. `beta_fast`, `beta_slow` (rotations) and `truncate` shape YaRN's ramp;
    `attention_factor` is the final multiplier of cos and sin, and `mscale`, `mscale_all_dim` another way to
    get it; `short_factor` and `long_factor` hold one number for each rotated pair; `low_freq_factor` and
    `high_freq_factor` are Llama 3's. `length` is set by `at_length`. None stands for the method's own
    default.

    Raises InvalidScaling, which names the value and the remedy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    method: str
    factor: Annotated[FiniteFloat, Field(ge=1)] = 1.0
    original_max_position_embeddings: Annotated[int, Field(ge=2)] | None = None
    beta_fast: PositiveFloat | None = None
    beta_slow: PositiveFloat | None = None
    truncate: bool | None = None
    attention_factor: PositiveFloat | None = None
    mscale: Annotated[FiniteFloat, Field(ge=0)] | None = None
    mscale_all_dim: Annotated[FiniteFloat, Field(ge=0)] | None = None
    short_factor: Factors | None = None
    long_factor: Factors | None = None
    low_freq_factor: PositiveFloat | None = None
    high_freq_factor: PositiveFloat | None = None
    length: Annotated[int, Field(ge=1)] | None = None

    if not TYPE_CHECKING:  # type checkers keep the signature that pydantic derives from the fields

        def __init__(self, **fields: Any) -> None:
            try:
                super().__init__(**fields)
            except ValidationError as error:
                raise InvalidScaling(_one_line(error, fields.get("method"))) from None

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            if value is not None:
                yield name, _Many(value) if isinstance(value, tuple) else value

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        if method not in METHODS:
            near = difflib.get_close_matches(method.lower().replace("-", "_"), METHODS, n=1, cutoff=0)
            raise ValueError(f"unknown method {method!r}: did you mean {near[0]!r}? There are {', '.join(METHODS)}")
        return method

    @model_validator(mode="after")
    def _fits_the_method(self) -> RopeScaling:
        entry = METHODS[self.method]
        given = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        surplus = given - entry.parameters - {"method", "original_max_position_embeddings"}
        if entry.depends_on_length:
            surplus -= {"length"}
        if surplus:
            name = sorted(surplus)[0]
            raise ValueError(f"{self.method} does not take {name}={getattr(self, name)!r}: {_takes(self.method)}")
        missing = entry.required - given - (self.model_fields_set & {"factor"})
        if missing:
            raise ValueError(f"{self.method} needs {' and '.join(sorted(missing))}: {_why(sorted(missing)[-1])}")
        return self

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> RopeScaling:
        for (low, small), (high, large) in RANGES:
            given = getattr(self, low), getattr(self, high)
            small, large = (
                default if value is None else value for value, default in zip(given, (small, large), strict=True)
            )
            if small >= large:
                raise ValueError(f"{low} is {small} and {high} is {large}: {high} must be the larger")
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
        """Make the scaling that takes a model from its original window to `window`, both in tokens.

        A method that depends on length is fixed at `window`; `factor` is then its own, and otherwise follows
        from the windows. Raises InvalidScaling where `window` is below the original, or is not where `factor`
        leads.
        """
        original = original_max_position_embeddings
        if window < original:
            raise InvalidScaling(
                f"a window of {window} tokens is below the native {original}: give {original} or more, "
                "or leave the model as it is"
            )
        fields: dict[str, Any] = {"original_max_position_embeddings": original}
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
        """Read the scaling that a checkpoint carries; `default` for none.

        `config` is a transformers configuration, or the mapping that its config.json holds. Reads
        `rope_parameters` and the older `rope_scaling`, each under the names that checkpoints in the wild use;
        runs no code of theirs. Raises UnsupportedConfig for what it does not understand, and InvalidScaling
        for parameters that make no scaling.
        """
        return cls(**read_scaling(config))

    @property
    def is_fixed(self) -> bool:
        """Whether the frequencies are settled: a static method, or one resolved by `at_length`."""
        return self.length is not None or not METHODS[self.method].depends_on_length

    @property
    def window(self) -> int | None:
        """The window it is meant for, in tokens: L·s, or the length it is fixed at; None without L."""
        if self.original_max_position_embeddings is None:
            return None
        if self.length is not None and self.method != "longrope":  # whose length only picks a set of factors
            return max(self.length, self.original_max_position_embeddings)
        return round(self.factor * self.original_max_position_embeddings)

    def at_length(self, n: int) -> RopeScaling:
        """Fix the scaling for one sequence of `n` tokens, prompt and answer; itself where it is fixed.

        Exact in `n`: two lengths give two scalings. Raises InvalidScaling for `n` below 1.
        """
        return self if self.is_fixed else type(self)(**{**self.model_dump(exclude_unset=True), "length": n})

    def to_rope_parameters(
        self, rope_theta: float, rotary_dim: int | None = None, partial_rotary_factor: float | None = None
    ) -> dict[str, Any]:
        """Write the `rope_parameters` of transformers 5 that give these frequencies; θ travels inside.

        `rotary_dim` is needed by `ntk` and a fixed `dynamic_ntk` only, whose θ depends on it;
        `partial_rotary_factor` is copied where the model rotates part of each head. Raises InvalidScaling for
        a missing `rotary_dim`, and LengthNeeded for `dynamic_yarn`, which transformers has in its fixed form
        only.
        """
        entry = METHODS[self.method]
        carried = entry.parameters | (entry.required & {"original_max_position_embeddings"})
        written: dict[str, Any] = {"rope_type": entry.hf_type, "rope_theta": float(rope_theta)}
        written |= {name: getattr(self, name) for name in sorted(carried)}
        written["partial_rotary_factor"] = partial_rotary_factor
        written |= entry.hf_changes(self, Rotary(rotary_dim or 0, float(rope_theta)))
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in written.items()}
        return {name: value for name, value in plain.items() if value is not None}


def _takes(method: str) -> str:
    entry = METHODS[method]
    return f"it takes {', '.join(sorted(entry.parameters | {'original_max_position_embeddings'}))}"


def _why(missing: str) -> str:
    if missing == "original_max_position_embeddings":
        return "give the window that the model was trained with, in tokens, such as 4096; it is never guessed"
    return "give it as a parameter"


def _one_line(error: ValidationError, method: Any) -> str:
    """Pydantic's first complaint as one sentence that names the parameter, the value and the remedy."""
    first = error.errors()[0]
    if first["type"] == "value_error":  # raised by the validators above, whose messages are whole
        return str(first["ctx"]["error"])
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden" and method in METHODS:
        return f"{method} does not take {name}={first['input']!r}: {_takes(method)}"
    if first["type"] == "missing":
        return f"{name} is missing: give it, such as {name}='yarn'"
    return f"{name} is {first['input']!r}: {first['msg'].replace('Input should be', 'it must be')}"
