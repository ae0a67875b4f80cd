from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from longctx.engine.generation import StopText, TokenText

JAPANESE = "灯台は一八七四年に建てられた。🗼 café"


@pytest.fixture(scope="module")
def byte_level(tiny_llama: Path):
    return AutoTokenizer.from_pretrained(tiny_llama)


@pytest.fixture(scope="module")
def byte_fallback():
    """As Llama 2's: words with ▁ for a space, and bytes for what the vocabulary lacks."""
    from tokenizers import Tokenizer, decoders, models, normalizers
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "</s>", "▁", "▁the", "▁fox", "the", "fox", "灯", "."]
    vocab = {word: number for number, word in enumerate([*words, *(f"<0x{byte:02X}>" for byte in range(256))])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>")


def pieces(tokenizer, ids: list[int]) -> list[str]:
    stream = TokenText(tokenizer)
    return [*(stream.add(token) for token in ids), stream.finish()]


@pytest.mark.parametrize("name", ["byte_level", "byte_fallback"])
def test_a_character_is_given_when_it_is_whole(name: str, request: pytest.FixtureRequest) -> None:
    tokenizer = request.getfixturevalue(name)
    ids = tokenizer(JAPANESE, add_special_tokens=False)["input_ids"]
    given_out = pieces(tokenizer, ids)
    assert len(ids) > len(JAPANESE)
    assert "".join(given_out) == JAPANESE
    assert all("\ufffd" not in piece for piece in given_out)
    assert sum(map(bool, given_out)) > 10, "piece by piece, not all at the end"


@given(text=st.text(min_size=1, max_size=30))
def test_any_text_comes_out_whole(byte_level, byte_fallback, text: str) -> None:
    ids = byte_level(text, add_special_tokens=False)["input_ids"]
    plain = byte_level.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert "".join(pieces(byte_level, ids)) == plain
    ids = [byte_fallback.convert_tokens_to_ids(f"<0x{byte:02X}>") for byte in text.encode()]
    assert "".join(pieces(byte_fallback, [3, *ids, 4])) == byte_fallback.decode([3, *ids, 4])


def test_spaces_between_words_stay_and_special_tokens_go(byte_fallback) -> None:
    ids = [*byte_fallback.convert_tokens_to_ids(["▁the", "▁fox", "</s>", "▁fox", "."])]
    assert pieces(byte_fallback, ids) == ["the", " fox", "", " fox", ".", ""]


def test_bytes_that_make_no_character_come_at_the_end(byte_fallback) -> None:
    ids = byte_fallback.convert_tokens_to_ids(["▁the", "<0xE3>", "<0x81>"])
    assert pieces(byte_fallback, ids) == ["the", "", "", "\ufffd\ufffd"]


@given(st.text("ab", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.integers(1, 4))
def test_text_ends_before_the_first_stop_string(text: str, stops: list[str], size: int) -> None:
    """The first to be complete: one that begins earlier but is not whole yet is not waited for."""
    stream, out = StopText(tuple(stops)), ""
    for start in range(0, len(text), size):
        out += stream.add(text[start : start + size])
        if stream.met:
            break
    heard = (text[: start + size] for start in range(0, len(text), size))
    found = next(([t.find(stop) for stop in stops if stop in t] for t in heard if any(stop in t for stop in stops)), [])
    assert stream.met == bool(found)
    assert out + stream.finish() == (text[: min(found)] if found else text)


def test_what_may_become_a_stop_string_is_held_back() -> None:
    stream = StopText(("\n\nQ:",))
    assert [stream.add(piece) for piece in ("yes", "\n", "\nA", "\n\n", "Q", ":")] == ["yes", "", "\n\nA", "", "", ""]
    assert stream.met
