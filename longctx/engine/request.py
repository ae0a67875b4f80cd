"""A prompt as the engine takes it: checked, and with one set of RoPE frequencies, before any work is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import index

from longctx.errors import BadRequest, ContextTooLong
from longctx.models import ScalableModel, carried, extended_window
from longctx.types import is_count
from rope_scaling import RopeScaling, RopeScalingError


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt that can be served.

    Attributes:
        ids: Its token ids.
        prefix: How many of them, from the first, are worth keeping in the prefix cache.
        new_tokens: How many tokens may follow it.
        scaling: The same for the whole sequence; None is the model's own frequencies.
        stored: How many of the tokens, from the first, are worth keeping on disk.
    """

    ids: tuple[int, ...]
    prefix: int
    new_tokens: int
    scaling: RopeScaling | None
    stored: int = 0

    @property
    def length(self) -> int:
        """Tokens of the whole sequence, prompt and answer."""
        return len(self.ids) + self.new_tokens


@dataclass(frozen=True, slots=True)
class PrefillProgress:
    """How much of a prompt has been read.

    Attributes:
        done: Tokens read so far, with those that were in the prefix cache.
        total: Tokens to read.
        tokens_per_second: Speed at which the tokens that were not in the prefix cache were read.
        doing: What is being done, for a display.
        part: On route `map`, which part of the documents or of the notes is being read, from 1, and `done` and `total`
            are tokens of all of them; otherwise 0.
        parts: How many parts there are.
    """

    done: int
    total: int
    tokens_per_second: float
    doing: str = "reading the prompt"
    part: int = 0
    parts: int = 0


PrefillCallback = Callable[[PrefillProgress], None]


def make_request(
    loaded: ScalableModel,
    prefix_ids: Sequence[int],
    suffix_ids: Sequence[int],
    scaling: RopeScaling | None,
    new_tokens: int,
) -> Request:
    """Check a prompt and fix its RoPE frequencies.

    Args:
        loaded: The model.
        prefix_ids: Tokens that are worth keeping in the prefix cache.
        suffix_ids: Tokens that follow them.
        scaling: For this prompt; None is the one that the model was loaded with.
        new_tokens: How many tokens may follow the prompt.

    Returns:
        A request that can be served.

    Raises:
        BadRequest: If there is no token, or one that is not in the model's vocabulary.
        ContextTooLong: If prompt and new tokens are longer than the window.
    """
    try:
        ids = (*map(index, prefix_ids), *map(index, suffix_ids))
    except TypeError as error:
        raise BadRequest(f"the prompt holds what is no token ({error}): give token ids") from None
    if not ids:
        raise BadRequest("the prompt is empty: give at least one token")
    if not is_count(new_tokens):
        raise BadRequest(f"room is {new_tokens} tokens: give a whole number, 0 or more")
    known = loaded.vocabulary_size
    strange = next((token for token in ids if not 0 <= token < known), None)
    if strange is not None:
        raise BadRequest(f"token {strange} is not in the model's vocabulary of {known}: was it another tokenizer's?")
    fixed = _fixed_scaling(loaded, scaling, len(ids) + new_tokens)
    _check_window(loaded, loaded.native_window if fixed is None else fixed.window, len(ids), new_tokens)
    return Request(ids, len(prefix_ids), new_tokens, fixed)


def _fixed_scaling(loaded: ScalableModel, scaling: RopeScaling | None, length: int) -> RopeScaling | None:
    """One set of frequencies for a sequence of `length` tokens; None is the model's own."""
    # Methods such as dynamic NTK change the frequencies as a sequence grows. Keys are cached after their rotation, so
    # that those of earlier blocks would no longer fit later queries. Therefore the frequencies for the whole length are
    # in force from the start, also where the checkpoint itself brings such a method.
    asked = loaded.scaling if scaling is None else scaling
    if isinstance(asked, str):
        if length <= loaded.native_window:
            return None
        window = min(extended_window(loaded.native_window, length), loaded.window)
        return RopeScaling.for_window(asked, window, loaded.native_window)
    if asked is None:
        try:
            asked = RopeScaling.from_config(loaded.config)
        except RopeScalingError:  # not understood, so left as it is
            return None
        if asked.is_fixed:
            return None
    return asked.at_length(extended_window(asked.original_max_position_embeddings or loaded.native_window, length))


def _check_window(loaded: ScalableModel, window: int | None, prompt: int, new_tokens: int) -> None:
    if window is None or prompt + new_tokens <= window:
        return
    if prompt < window:
        fits = f"ask for at most {window - prompt} new tokens, shorten the prompt"
    elif new_tokens < window:
        fits = f"shorten the prompt to {window - new_tokens} tokens"
    else:
        fits = "ask for fewer new tokens and shorten the prompt"
    if carried(loaded.config) is None:
        fits += ", or extend the window with a scaling"
    else:
        fits += "; the window is what the checkpoint's own scaling reaches, and no second one can be added"
    raise ContextTooLong(
        f"a prompt of {prompt} tokens and {new_tokens} new ones are {prompt + new_tokens}, and the window holds "
        f"{window}: {fits}"
    )
