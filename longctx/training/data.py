"""Training data: from files to sequences of tokens.

Text is packed: documents one after the other, separated by the end-of-text token, cut into sequences of one length. An
example (a prompt and its completion) is a sequence of its own, so that a question meets no other document's facts.
For mixed windows, documents that fit the native window are packed whole into sequences of at most that length.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexes.errors import UnreadableFile
from indexes.ingest import FoundFile, discover
from indexes.readers import decode, read_bytes, read_document
from indexes.types import Failure
from longctx.errors import TrainingError

_EXAMPLES = frozenset({".jsonl", ".ndjson"})
_FIELDS = ({"text"}, {"prompt", "completion"})


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and its completion.

    Attributes:
        prompt: What the model reads.
        completion: What it is trained to answer.
        place: The file and line, for messages.
    """

    prompt: str
    completion: str
    place: str


@dataclass(frozen=True, slots=True)
class TrainingSequence:
    """A sequence to train on.

    Attributes:
        ids: Token ids, int32 of shape (tokens,).
        prompt: How many of them, from the start, are an example's prompt; 0 for packed text.
        starts: Where documents begin that do not attend to those before them; empty where all attend to all.
    """

    ids: NDArray[np.int32]
    prompt: int = 0
    starts: tuple[int, ...] = ()


def read_sequences(paths: Sequence[str | Path], tokenizer: Any, length: int, native: int = 0) -> list[TrainingSequence]:
    """Read files and folders as sequences, in the order of the files.

    Text of every format that an index reads is packed into sequences of exactly `length`; what is left at the end is
    too short for one, and is dropped. A .jsonl file has an object per line, with `text`, or with `prompt` and
    `completion`.

    Args:
        paths: The files and folders.
        tokenizer: The model's tokenizer.
        length: The length of packed text, and the longest example, in tokens.
        native: For mixed windows, the native window in tokens: documents that fit it are packed whole into sequences of
            at most that length, and no packed document attends to another. 0 packs all documents alike.

    Returns:
        The sequences, packed text first.

    Raises:
        TrainingError: For a file that cannot be read, an example that is too long, or no sequence at all.
    """
    if tokenizer.eos_token_id is None:
        raise TrainingError("the tokenizer has no end-of-text token: set eos_token in its tokenizer_config.json")
    records = list(read_records(paths))
    texts = [record for record in records if isinstance(record, str)]
    examples = [record for record in records if isinstance(record, Example)]
    packed = list(_packed_apart(texts, tokenizer, length, native) if native else _packed(texts, tokenizer, length))
    sequences = packed + [_sequence(example, tokenizer, length) for example in examples]
    if not sequences:
        tokens = sum(len(_tokens(tokenizer, text)) + 1 for text in texts)
        raise TrainingError(
            f"{_names(paths)}: {tokens:,} tokens of text and no examples, too little for one sequence of {length:,} "
            "tokens: give more text, or shorter sequences (--length)"
        )
    return sequences


def read_records(paths: Sequence[str | Path]) -> Iterator[str | Example]:
    """Every document's text, and every example, in the order of the files. Raises TrainingError."""
    for found in discover(map(Path, paths)):
        if isinstance(found, Failure):
            raise TrainingError(f"training data: {found.source}: {found.reason}")
        if isinstance(found, FoundFile):
            try:
                yield from _records_of(found.path)
            except UnreadableFile as error:
                raise TrainingError(f"training data: {found.path}: {error.reason}") from error


def _records_of(path: Path) -> Iterator[str | Example]:
    data = read_bytes(path)
    if path.suffix.lower() not in _EXAMPLES:
        yield read_document(path, data).text
        return
    for number, line in enumerate(decode(data, None).split("\n"), start=1):
        if line.strip():
            yield _record(line, f"{path}, line {number}")


def _record(line: str, place: str) -> str | Example:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"training data: {place}: not JSON: {error}") from error
    fields = set(value) if isinstance(value, dict) else set()
    wanted = next((names for names in _FIELDS if names <= fields), None)
    if wanted is None or not all(isinstance(value[name], str) for name in wanted):
        raise TrainingError(
            f'training data: {place}: give {{"text": "…"}}, or {{"prompt": "…", "completion": "…"}}, with strings'
        )
    return str(value["text"]) if "text" in wanted else Example(value["prompt"], value["completion"], place)


def _packed(texts: Iterable[str], tokenizer: Any, length: int) -> Iterator[TrainingSequence]:
    begin, rest = _begin(tokenizer), []
    room = length - len(begin)
    for text in texts:
        rest += [*_tokens(tokenizer, text), tokenizer.eos_token_id]
        whole = len(rest) // room * room
        for start in range(0, whole, room):
            yield TrainingSequence(np.array(begin + rest[start : start + room], dtype=np.int32))
        del rest[:whole]


def _packed_apart(texts: Iterable[str], tokenizer: Any, length: int, native: int) -> Iterator[TrainingSequence]:
    """Long documents in parts of `length`, each by itself; short ones, and the ends of long ones, whole."""
    begin, held = _begin(tokenizer), list[list[int]]()
    for text in texts:
        ids = [*begin, *_tokens(tokenizer, text), tokenizer.eos_token_id]
        while len(ids) > native:
            yield TrainingSequence(np.array(ids[:length], dtype=np.int32))
            ids = [*begin, *ids[length:]] if len(ids) > length else []
        if sum(map(len, held)) + len(ids) > native:
            yield _joined(held)
            held = []
        if len(ids) > len(begin):
            held.append(ids)
    if held:
        yield _joined(held)


def _joined(documents: Sequence[Sequence[int]]) -> TrainingSequence:
    starts = tuple(int(end) for end in np.cumsum([0, *map(len, documents[:-1])]))
    return TrainingSequence(np.concatenate(documents).astype(np.int32), starts=starts)


def _sequence(example: Example, tokenizer: Any, length: int) -> TrainingSequence:
    """Prompt and completion, tokenised apart, as generation does; the end-of-text token teaches to stop."""
    prompt, completion = _tokens(tokenizer, example.prompt), _tokens(tokenizer, example.completion)
    begin = _begin(tokenizer)
    prompt = prompt if prompt[: len(begin)] == begin else begin + prompt
    if completion[-1:] != [tokenizer.eos_token_id]:
        completion = [*completion, tokenizer.eos_token_id]
    if len(prompt) + len(completion) > length:
        raise TrainingError(
            f"training data: {example.place}: {len(prompt) + len(completion):,} tokens, over the sequences' "
            f"{length:,}: shorten it, or give a larger --length"
        )
    return TrainingSequence(np.array(prompt + completion, dtype=np.int32), len(prompt))


def _begin(tokenizer: Any) -> list[int]:
    """The token that the tokenizer puts before every text, if it puts one."""
    bos = tokenizer.bos_token_id
    return [bos] if bos is not None and bos in tokenizer("")["input_ids"] else []


def _tokens(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _names(paths: Sequence[str | Path]) -> str:
    return ", ".join(map(str, paths)) or "no files"
