"""What is asked of the engine, checked before any work. Knows token ids and windows; runs no model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from longctx.errors import BadRequest, ContextTooLong
from longctx.models import LoadedModel, extended_window
from rope_scaling import RopeScaling, RopeScalingError


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt of token `ids`, of which the first `prefix` are worth keeping, and how many new ones may follow.

    `scaling` is fixed, the same for the whole sequence; None is the model's own.
    """

    ids: tuple[int, ...]
    prefix: int
    new_tokens: int
    scaling: RopeScaling | None

    @property
    def length(self) -> int:
        """Tokens of the whole sequence, prompt and answer."""
        return len(self.ids) + self.new_tokens


@dataclass(frozen=True, slots=True)
class PrefillProgress:
    """How much of a prompt is read: `done` of `total` tokens, at `tokens_per_second` of those that had to be read."""

    done: int
    total: int
    tokens_per_second: float


PrefillCallback = Callable[[PrefillProgress], None]


class ProgressClock:
    """Tells a callback about progress; `begun` tokens were there before."""

    def __init__(self, callback: PrefillCallback | None, begun: int, total: int) -> None:
        self._callback, self._begun, self._total = callback, begun, total
        self._since = time.monotonic()

        self.tell(begun)

    def tell(self, done: int) -> None:
        """Call back with the tokens done so far."""
        if self._callback is not None:
            rate = (done - self._begun) / max(time.monotonic() - self._since, 1e-9)
            self._callback(PrefillProgress(done, self._total, rate))


def make_request(
    loaded: LoadedModel,
    prefix_ids: Sequence[int],
    suffix_ids: Sequence[int],
    scaling: RopeScaling | None,
    new_tokens: int,
) -> Request:
    """A request that can be served. Raises BadRequest and ContextTooLong."""
    ids = (*map(int, prefix_ids), *map(int, suffix_ids))
    if not ids:
        raise BadRequest("the prompt is empty: give at least one token")
    if new_tokens < 0:
        raise BadRequest(f"room is {new_tokens} tokens: give 0 or more")
    known = loaded.model.get_input_embeddings().num_embeddings
    strange = next((token for token in ids if not 0 <= token < known), None)
    if strange is not None:
        raise BadRequest(f"token {strange} is not in the model's vocabulary of {known}: was it another tokenizer's?")
    fixed = _fixed_scaling(loaded, scaling, len(ids) + new_tokens)
    _check_window(loaded.native_window if fixed is None else fixed.window, len(ids), new_tokens)
    return Request(ids, len(prefix_ids), new_tokens, fixed)


def _fixed_scaling(loaded: LoadedModel, scaling: RopeScaling | None, length: int) -> RopeScaling | None:
    """One set of frequencies for the whole sequence, also where a checkpoint brings one that depends on length."""
    asked = loaded.scaling if scaling is None else scaling
    if isinstance(asked, str):
        if length <= loaded.native_window:
            return None
        window = min(extended_window(loaded.native_window, length), loaded.window)
        return RopeScaling.for_window(asked, window, loaded.native_window)
    if asked is None:
        try:
            carried = RopeScaling.from_config(loaded.model.config)
        except RopeScalingError:  # not understood, so left as it is
            return None
        if carried.is_fixed:
            return None
        asked = carried
    return asked.at_length(extended_window(asked.original_max_position_embeddings or loaded.native_window, length))


def _check_window(window: int | None, prompt: int, new_tokens: int) -> None:
    if window is None or prompt + new_tokens <= window:
        return
    if prompt < window:
        fits = f"ask for at most {window - prompt} new tokens, shorten the prompt"
    elif new_tokens < window:
        fits = f"shorten the prompt to {window - new_tokens} tokens"
    else:
        fits = "ask for fewer new tokens and shorten the prompt"
    raise ContextTooLong(
        f"a prompt of {prompt} tokens and {new_tokens} new ones are {prompt + new_tokens}, and the window holds "
        f"{window}: {fits}, or extend the window with a scaling"
    )


def end_tokens(loaded: LoadedModel) -> frozenset[int]:
    """The tokens that end a turn: what the checkpoint's generation settings say, which may be several."""
    model = loaded.model
    configs: list[Any] = [model.generation_config, model.config.get_text_config(), loaded.tokenizer]
    for config in configs:
        ends = getattr(config, "eos_token_id", None)
        if ends is not None:
            return frozenset([ends] if isinstance(ends, int) else ends)
    return frozenset()
