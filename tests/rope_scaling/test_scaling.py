"""What a RopeScaling accepts, refuses, and says about itself."""

import copy
import math
import pickle
from typing import Any

import pytest
from pydantic import ValidationError

import rope_scaling
from rope_scaling import METHODS, InvalidScaling, RopeScaling, RopeScalingError

L = {"original_max_position_embeddings": 4096}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"method": "yarn", "factor": 0.5, **L}, ["factor", "0.5", "greater than or equal to 1"]),
        ({"method": "yarn", "factor": math.nan, **L}, ["factor", "nan", "finite"]),
        ({"method": "yarn", "factor": math.inf, **L}, ["factor", "inf", "finite"]),
        ({"method": "yarn", "factor": "4", **L}, ["factor", "'4'", "number"]),
        ({"method": "yarn", "factor": 4.0}, ["yarn", "original_max_position_embeddings", "never guessed"]),
        ({"method": "dynamic_ntk", "factor": 4.0}, ["original_max_position_embeddings", "such as 4096"]),
        ({"method": "yarn", **L}, ["yarn needs factor"]),
        ({"method": "yran", "factor": 4.0, **L}, ["'yran'", "did you mean 'yarn'?"]),
        ({"method": "dynamic-nkt", **L}, ["did you mean 'dynamic_ntk'?"]),
        ({"method": "NTKA"}, ["did you mean 'ntk'?"]),
        ({"method": "zzz"}, ["'zzz'", "did you mean", "longrope"]),
        ({"method": 7}, ["method", "7", "string"]),
        ({"factor": 4.0}, ["method is missing", "method='yarn'"]),
        ({"method": "linear", "factor": 4.0, "beta_fast": 32.0}, ["beta_fast=32.0", "it takes factor"]),
        ({"method": "default", "factor": 4.0}, ["default does not take factor=4.0"]),
        ({"method": "yarn", "factor": 4.0, **L, "alpha": 1}, ["alpha=1", "it takes attention_factor"]),
        ({"method": "yarn", "factor": 4.0, **L, "length": 9}, ["yarn does not take length=9"]),
        ({"method": "ntk_by_parts", "factor": 4.0, **L, "mscale": 1.0}, ["does not take mscale=1.0"]),
        ({"method": "yarn", "factor": 4.0, "original_max_position_embeddings": 1}, ["is 1", "to 2"]),
        ({"method": "yarn", "factor": 4.0, "original_max_position_embeddings": 40.5}, ["40.5", "integer"]),
        ({"method": "yarn", "factor": 4.0, **L, "beta_fast": 1.0, "beta_slow": 2.0}, ["1.0", "2.0"]),
        ({"method": "yarn", "factor": 4.0, **L, "beta_fast": 0.5}, ["beta_slow is 1.0", "beta_fast is 0.5"]),
        ({"method": "yarn", "factor": 4.0, **L, "attention_factor": -1.0}, ["attention_factor", "-1.0"]),
        ({"method": "llama3", "factor": 8.0, **L, "low_freq_factor": 4.0}, ["low_freq_factor is 4.0"]),
        ({"method": "longrope", "factor": 8.0, **L}, ["longrope needs long_factor and short_factor: they are fitted to one model", "use yarn"]),
        (
            {"method": "longrope", "factor": 8.0, **L, "short_factor": [1.0], "long_factor": [1.0, 2.0]},
            ["short_factor has 1", "long_factor 2"],
        ),
        (
            {"method": "longrope", "factor": 8.0, **L, "short_factor": [0.0], "long_factor": [1.0]},
            ["short_factor", "0.0", "greater than 0"],
        ),
    ],
)  # fmt: skip
def test_bad_input_names_the_value_and_the_remedy(fields: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(InvalidScaling) as caught:
        RopeScaling(**fields)
    message = str(caught.value)
    assert "\n" not in message
    for words in named:
        assert words in message


def test_a_scaling_is_frozen_hashable_and_compared_by_value() -> None:
    one = RopeScaling(method="yarn", factor=32, **L)
    assert one == RopeScaling(method="yarn", factor=32.0, **L, beta_fast=None)
    assert len({one, RopeScaling(method="yarn", factor=32.0, **L)}) == 1
    with pytest.raises(ValidationError):
        one.factor = 2.0  # type: ignore[misc]
    assert repr(one) == "RopeScaling(method='yarn', factor=32.0, original_max_position_embeddings=4096)"
    many = RopeScaling(method="longrope", factor=8.0, **L, short_factor=[1.0] * 48, long_factor=[2.0] * 48)
    assert "short_factor=<48 numbers>" in repr(many)
    assert RopeScaling(**many.model_dump()) == many
    assert pickle.loads(pickle.dumps(many)) == copy.deepcopy(many) == many


def test_at_length_is_exact_and_fixes_what_depends_on_length() -> None:
    dynamic = RopeScaling(method="dynamic_yarn", **L)
    assert not dynamic.is_fixed
    fixed = dynamic.at_length(50_000)
    assert fixed.is_fixed
    assert fixed.length == 50_000
    assert fixed != dynamic.at_length(50_001)
    assert fixed.at_length(7) is fixed
    static = RopeScaling(method="yarn", factor=4.0, **L)
    assert static.is_fixed
    assert static.at_length(50_000) is static


@pytest.mark.parametrize("n", [0, -5])
def test_at_length_refuses_what_is_no_length(n: int) -> None:
    with pytest.raises(InvalidScaling, match=f"length is {n}"):
        RopeScaling(method="dynamic_yarn", **L).at_length(n)


def test_window() -> None:
    assert RopeScaling(method="yarn", factor=32.0, **L).window == 131_072
    assert RopeScaling(method="linear", factor=4.0).window is None
    assert RopeScaling(method="default", **L).window == 4096
    assert RopeScaling(method="dynamic_ntk", **L).at_length(10_000).window == 10_000
    assert RopeScaling(method="dynamic_ntk", **L).at_length(10).window == 4096


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("default", "longrope")])
def test_for_window_reaches_it(method: str) -> None:
    scaling = RopeScaling.for_window(method, 131_072, 4096)
    assert scaling.is_fixed
    assert scaling.window == 131_072
    assert scaling.method == method


def test_for_window_refuses_a_target_below_the_native_window() -> None:
    with pytest.raises(InvalidScaling, match=r"2048 tokens is below the native 4096: give 4096 or more"):
        RopeScaling.for_window("yarn", 2048, 4096)
    with pytest.raises(InvalidScaling, match=r"did you mean 'yarn'"):
        RopeScaling.for_window("yarm", 8192, 4096)


def test_the_public_names() -> None:
    assert rope_scaling.__all__ == sorted(rope_scaling.__all__, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(rope_scaling, name) for name in rope_scaling.__all__)
    errors = [value for value in vars(rope_scaling).values() if isinstance(value, type)]
    assert all(issubclass(e, RopeScalingError) for e in errors if issubclass(e, Exception))
    assert issubclass(RopeScalingError, ValueError)
