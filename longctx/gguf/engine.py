"""`GgufEngine`: text generation from a GGUF file, by llama.cpp. It offers what `Engine` does."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch

from longctx.engine import (
    Generation,
    GenerationOptions,
    PrefillCallback,
    PrefillProgress,
    Prefix,
    PrefixRefused,
    PrefixStore,
    Request,
    make_request,
    shared_length,
)
from longctx.errors import BadRequest, ModelUnavailable, extra
from longctx.gguf.completion import generate, log_probability, read_prompt, reading_rate, tokenize
from longctx.gguf.kept_documents import keep, kept_tokens, restore
from longctx.gguf.model import GgufModel
from longctx.gguf.rope import RopeParameters, check_method, rope_parameters, short_factors
from longctx.gguf.server import LlamaServer, ServerPool
from longctx.gguf.state_file import read_state, write_state
from longctx.gguf.tokenizer import GgufTokenizer
from longctx.models import (
    CacheDtype,
    GgufFile,
    check_window_and_scaling,
    gguf_hash,
    memory,
    read_gguf,
    trial_scaling,
)
from longctx.planning import MEASURED_TOKENS, ReadingSpeed
from longctx.types import is_count
from rope_scaling import Checkpoint, RopeScaling
from rope_scaling.checkpoint import check_not_blended

_GREEDY = GenerationOptions()
_SHORTEST = 2048  # tokens of the first context: one that grew with every prompt would be made anew each time
_BATCH = 512  # tokens that are read before llama.cpp says so, and stops if nobody waits for the answer any more
_FLASH_ATTENTION = {0: 0, 8: 1}  # by the type of keys and values: it rounds float32 to 16 bits, and q8_0 needs it
_Q8_BLOCK = 32  # numbers that share a scale: a head must consist of whole blocks


class GgufEngine:
    """Generates text with a model in a GGUF file.

    llama.cpp runs in a child process, and keeps the keys and values of the last prompts. Threads may share an engine;
    their requests wait for each other.

    >>> from longctx import DocumentQA, GgufEngine
    >>> model = GgufEngine.open("model-Q4_K_M.gguf", scaling="yarn", cache_dtype="int8")
    >>> qa = DocumentQA.open("my-index", model)

    Attributes:
        loaded: The model.
    """

    def __init__(self, loaded: GgufModel, pool: ServerPool, store: PrefixStore | None = None) -> None:
        self.loaded = loaded
        self._pool, self._store = pool, store
        self._held: tuple[LlamaServer, tuple[int, ...]] | None = None  # what a child read last
        self._speed: ReadingSpeed | None = None

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        scaling: str | RopeScaling | None = None,
        window: int | None = None,
        cache_dtype: CacheDtype = "model",
        device: str = "auto",
        store: PrefixStore | None = None,
    ) -> GgufEngine:
        """Open a GGUF file. The weights are loaded when they are needed first.

        Args:
            path: The file; the first one, of a model that is split.
            scaling: As for `load_model`; llama.cpp has linear, ntk and yarn.
            window: The native context length in tokens, in place of the file's.
            cache_dtype: How keys and values are kept: in 16 bits ("model"), or in int8.
            device: "auto" (what llama.cpp finds), or "cpu".
            store: Where the keys and values of documents are kept for later processes; None keeps none.

        Returns:
            The engine, which has to be closed.

        Raises:
            BadRequest: For an option that llama.cpp does not have.
            ModelUnavailable: If the file is none that can be run, or xllamacpp is missing.
            RopeScalingError: If the model cannot be scaled so.
        """
        try:
            import xllamacpp  # noqa: F401  # in the child; here, to say what is missing
        except ImportError as error:
            raise ModelUnavailable(f"{path} is run by llama.cpp, from {extra('gguf')}") from error
        if device not in ("auto", "cpu"):
            raise BadRequest(f"device is {device!r}, and llama.cpp chooses among GPUs itself: use auto or cpu")
        memory.check_cache_dtype(cache_dtype)
        check_window_and_scaling(window, scaling)
        file = read_gguf(path)
        checkpoint = file.checkpoint()
        head_dim = file.token_shape[1]
        if cache_dtype == "int8" and head_dim % _Q8_BLOCK:
            raise BadRequest(f"llama.cpp keeps keys and values in int8 by {_Q8_BLOCK}, and a head has {head_dim}")
        least = min(_SHORTEST, file.window, short_factors(checkpoint) or _SHORTEST)
        pool = ServerPool(_settings(file, cache_dtype, device), file.path, least)
        native = window or file.window
        if scaling is not None:
            check_method(scaling, checkpoint, file.path)
            trial = trial_scaling(scaling, native)
            _check_scaling(trial, checkpoint, file.path)
            scaling = scaling if isinstance(scaling, str) else trial
        tokenizer = GgufTokenizer(file, partial(_tokenize, pool))
        return cls(GgufModel(str(path), file, checkpoint, tokenizer, native, scaling, cache_dtype), pool, store)

    def tokens_in_memory(self) -> int:
        """The longest sequence, in tokens, that fits into memory."""
        return max(0, self._free() // max(1, self.loaded.token_bytes))

    def cached_tokens(self, ids: Sequence[int], scaling: RopeScaling | None = None, *, room: int = 0) -> int | None:
        """How many first tokens of a prompt are at hand: of what llama.cpp read last, or on disk.

        Args:
            ids: Token ids of the prompt.
            scaling: As for `stream`.
            room: How many tokens may follow the prompt.

        Returns:
            The number of tokens; 0 for a prompt that is longer than the native window. None for a model with a sliding
            window, of which llama.cpp does not say how far back its layers reach.
        """
        if self.loaded.file.slides:
            return None
        left = self.loaded.native_window - len(ids)
        if left < 0:
            return 0
        request = make_request(self.loaded, ids, (), scaling, min(room, left))
        held = self._shared(self._pool.ready(*self._context(request)[:2]), ids)
        if self._store is None or not self._store.entries():
            return held
        return max(held, kept_tokens(self._store, self._made_from(request), ids, held))

    def reading_speed(self, *, measure: bool = True) -> ReadingSpeed | None:
        """How fast the model reads a prompt; measured once per model and machine, and kept in the user's cache folder.

        Args:
            measure: Whether to measure what is not known, by reading 128 tokens.

        Returns:
            The speed; None if it is not known.
        """
        if self._speed is None:
            file, cache_dtype = self.loaded.file, self.loaded.cache_dtype
            self._speed = file.reading_speed(cache_dtype, self._measured_rate if measure else None)
        return self._speed

    def identity(self) -> str:
        """What tells this model from others: a hash of its files, and how keys and values are kept."""
        return f"{self.weights_hash} {self.loaded.precision}"

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of the model's files, made once for them, which takes seconds."""
        return gguf_hash(self.loaded.file.parts)

    def stream(
        self,
        prefix_ids: Sequence[int],
        suffix_ids: Sequence[int],
        scaling: RopeScaling | None = None,
        options: GenerationOptions = _GREEDY,
        progress: PrefillCallback | None = None,
        *,
        stored: int = 0,
    ) -> Generation:
        """Generate the text that follows a prompt; for arguments and errors see `Engine.stream`.

        Returns:
            The pieces of text as they are generated. llama.cpp starts when the first is taken.
        """
        request = self._request(prefix_ids, suffix_ids, scaling, options.new_tokens)
        return Generation(len(request.ids), partial(self._pieces, replace(request, stored=stored), options, progress))

    def prefix(
        self,
        prefix_ids: Sequence[int],
        scaling: RopeScaling | None = None,
        *,
        room: int = 0,
        progress: PrefillCallback | None = None,
    ) -> Prefix:
        """Have llama.cpp read a prefix now, for later prompts that begin with it; for arguments see `Engine.prefix`."""
        request = self._request(prefix_ids, (), scaling, room)
        with self._server(request) as server:
            return self._read(server, request, progress)

    def save_prefix(
        self, path: str | Path, prefix_ids: Sequence[int], scaling: RopeScaling | None = None, *, room: int = 0
    ) -> Prefix:
        """Write the keys and values of a prefix to a file; for arguments see `Engine.save_prefix`."""
        request = self._request(prefix_ids, (), scaling, room)
        with self._server(request) as server:
            prefix = self._read(server, request)
            server.post("/slots/0?action=save", {"filename": "state"})
            write_state(Path(path), server.folder / "state", self._made_from(request), request.ids)
        return prefix

    def load_prefix(
        self, path: str | Path, prefix_ids: Sequence[int], scaling: RopeScaling | None = None, *, room: int = 0
    ) -> Prefix:
        """Read the keys and values of a prefix from a file that `save_prefix` wrote; see `Engine.load_prefix`."""
        request = self._request(prefix_ids, (), scaling, room)
        with self._server(request) as server:
            self._held = None
            try:
                read_state(Path(path), server.folder / "state", self._made_from(request), request.ids)
                restored = int(server.post("/slots/0?action=restore", {"filename": "state"})["n_restored"])
            except (PrefixRefused, ModelUnavailable) as refusal:
                read = self._read(server, request)
                return Prefix(read.tokens, read.computed, read.nbytes, str(refusal))
            self._held = (server, request.ids)
        return Prefix(restored, 0, restored * self.loaded.token_bytes)

    def token_losses(self, ids: Sequence[int], last: int, scaling: RopeScaling | None = None) -> list[float]:
        """Cross-entropy of the last tokens of a text; see `Engine.token_losses`.

        llama.cpp's server states probabilities only where it generates. So it generates a token at each place, and the
        one that stands there is looked up among the likeliest.

        Args:
            ids: Token ids of the text.
            last: How many of its last tokens to score.
            scaling: As for `stream`.

        Returns:
            Negative log-likelihoods in nats.

        Raises:
            BadRequest: Unless `last` leaves at least one token before those that are scored.
        """
        if not (is_count(last, 1) and last < len(ids)):
            raise BadRequest(f"last is {last}: of {len(ids)} tokens, 1 to {len(ids) - 1} can be scored")
        letter, known = self.loaded.tokenizer.letter, self.loaded.vocabulary_size
        with self._server(self._request((), ids[:-1], scaling, 1)) as server:
            self._held = None
            places = range(len(ids) - last, len(ids))
            return [-log_probability(server, ids[:place], int(ids[place]), letter, known) for place in places]

    def check_scaling(self, scaling: RopeScaling, length: int) -> None:
        """Check that llama.cpp can scale the model so; for arguments see `Engine.check_scaling`."""
        _check_scaling(scaling, self.loaded.checkpoint, self.loaded.file.path)

    def with_window(self, window: int) -> GgufEngine:
        """The same model without a scaling, and with another native window.

        Args:
            window: The window, in tokens.

        Returns:
            An engine that shares llama.cpp with this one.
        """
        return GgufEngine(replace(self.loaded, native_window=window, scaling=None), self._pool, self._store)

    def forget(self) -> None:
        """Nothing: llama.cpp drops the keys and values of old prompts by itself."""

    def close(self) -> None:
        """End llama.cpp."""
        self._pool.close()

    def __enter__(self) -> GgufEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(
        self, prefix_ids: Sequence[int], suffix_ids: Sequence[int], scaling: RopeScaling | None, new_tokens: int
    ) -> Request:
        """A request that fits the window and the memory, with a scaling that llama.cpp has."""
        request = make_request(self.loaded, prefix_ids, suffix_ids, scaling, new_tokens)
        rope_parameters(request.scaling, self.loaded.checkpoint, self.loaded.file.path)
        need = memory.Need(request.length, request.length * self.loaded.token_bytes, 0)
        memory.check(need, self._free(), self.loaded.file.nbytes)
        return request

    def _server(self, request: Request) -> AbstractContextManager[LlamaServer]:
        """A child whose context holds a request."""
        return self._pool.using(*self._context(request))

    def _context(self, request: Request) -> tuple[int, RopeParameters, str | None]:
        """A context for a request: as long as a power of two, within window and memory; its RoPE; and its override."""
        least = max(request.length, len(request.ids) + 1)
        window = request.scaling.window if request.scaling is not None else None
        most = max(least, min(window or self.loaded.native_window, self.tokens_in_memory()))
        length = min(most, max(_SHORTEST, 1 << (least - 1).bit_length()))
        own = self.loaded.checkpoint
        rope = rope_parameters(request.scaling, own, self.loaded.file.path)
        if not rope and (short := short_factors(own)) is not None:
            length = max(least, min(length, short))
        file = self.loaded.file
        override = f"{file.architecture}.context_length=int:{length}" if length > file.context_length else None
        return length, rope, override

    def _measured_rate(self) -> float:
        """Tokens per second for a prompt of 128 tokens, or of the native window where that is shorter."""
        tokens, known = min(MEASURED_TOKENS, self.loaded.native_window - 1), self.loaded.vocabulary_size
        ids = [(7919 * place + 12_289) % known for place in range(tokens)]
        with self._server(make_request(self.loaded, (), ids, None, 1)) as server:
            self._held = None
            return reading_rate(server, ids)

    def _free(self) -> int:
        """Bytes for keys and values: what is free, and what those of now have, less what else llama.cpp needs."""
        free = memory.available_bytes(torch.device("cpu")) + self._pool.length * self.loaded.token_bytes
        needed = 0 if self._pool.length else self.loaded.file.nbytes + self.loaded.file.activation_bytes
        return max(0, free - needed)

    def _pieces(
        self, request: Request, options: GenerationOptions, progress: PrefillCallback | None, result: Generation
    ) -> Generator[str, None, None]:
        store = self._store if self._store is not None and self._store.keeps(request.stored) else None
        documents, read = request.ids[: request.stored], 0

        def note(done: PrefillProgress) -> None:
            nonlocal read
            read = done.done
            if progress is not None:
                progress(done)

        with self._server(request) as server:
            if store is not None:
                restore(store, server, self._made_from(request), documents, self._shared(server, documents))
            self._held = None  # while the child reads something else
            try:
                yield from generate(server, request, options, note, result)
            finally:  # also after an answer that was cancelled, or a prompt whose reading was interrupted
                if result.completion_tokens:
                    self._held, read = (server, request.ids), len(request.ids)
                kept = documents[:read]
                if (
                    store is not None
                    and server.is_running
                    and store.gains(len(kept), result.reused_tokens, len(documents))
                ):
                    keep(store, server, self._made_from(request), kept)

    def _shared(self, server: LlamaServer | None, ids: Sequence[int]) -> int:
        """How many first tokens a child has of those that it read last; it may have more of what was read before."""
        return 0 if self._held is None or self._held[0] is not server else shared_length(self._held[1], ids)

    def _read(self, server: LlamaServer, request: Request, progress: PrefillCallback | None = None) -> Prefix:
        computed = read_prompt(server, request.ids, progress)
        self._held = (server, request.ids)
        return Prefix(len(request.ids), computed, len(request.ids) * self.loaded.token_bytes)

    def _made_from(self, request: Request) -> dict[str, str]:
        """What the keys and values of a prompt depend on, beside its tokens."""
        rope = rope_parameters(request.scaling, self.loaded.checkpoint, self.loaded.file.path)
        return {"weights": self.weights_hash, "rotation": str(sorted(rope.items())), "dtype": self.loaded.precision}


def _settings(file: GgufFile, cache_dtype: CacheDtype, device: str) -> Mapping[str, Any]:
    spare = memory.available_bytes(torch.device("cpu")) // 4
    parameters: dict[str, Any] = {
        "model": str(file.path),
        "chat_template": "chatml",  # prompts come written: one that is broken in the file must not end llama.cpp
        "n_parallel": 1,
        "n_batch": _BATCH,
        "warmup": False,
        "fit_params": False,
        "use_jinja": False,
        "cache_ram_mib": spare >> 20,
    }
    if device == "cpu":
        parameters["n_gpu_layers"] = 0
    kept = file.cache_type(cache_dtype)
    parameters |= {"cache_type_k": kept, "cache_type_v": kept, "flash_attn_type": _FLASH_ATTENTION.get(kept, -1)}
    return {"parameters": parameters, "threads": torch.get_num_threads(), "override": None}


def _tokenize(pool: ServerPool, texts: Sequence[str]) -> list[list[int]]:
    with pool.using() as server:
        return tokenize(server, texts)


def _check_scaling(scaling: RopeScaling, own: Checkpoint, path: Path) -> None:
    """Raise BadRequest for a scaling that llama.cpp does not have, and RopeScalingError for a second one."""
    rope_parameters(scaling, own, path)
    check_not_blended(None if own.scaling.method == "default" else own.scaling, scaling, own.base)
