"""CPU inference for sentence-transformers models: products in bf16 or int8, batches by length, a thread for each batch.

It imports torch; import it where a model is used.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch.nn import functional

from indexes.encoders.cpu_products import Bf16Product, Int8Product, Product, why_not_bf16, why_not_int8
from indexes.encoders.packed_bert import is_packed, pack_encoders, unpack

_LEAST_COSINE = 0.999  # of vectors in int8 to those in float32, on average of the sample
_SAMPLE = (
    "The lighthouse keeper trims the lamp every morning at six.",
    "灯台守は毎朝六時に灯具を点検する。霧笛は一分ごとに五秒間鳴らす。",
    "El contrato se renueva cada año, salvo que una de las partes lo rescinda con un mes de antelación.",
    "Срок поставки составляет четырнадцать дней с момента оплаты счёта.",
    "def read_config(path: Path) -> dict[str, Any]:\n    return tomllib.loads(path.read_text())",
    "| Item | Price | Stock |\n| --- | ---: | ---: |\n| Lamp oil, 5 l | 12.40 | 318 |",
    "Where is the key?",
    "Error E17: the pump stopped because its inlet pressure fell below 0.8 bar. Close the valve, wait for ten minutes, "
    "and start the pump again; if the error comes back, call the service at extension 204 and state the serial number.",
)
_MEASURED_ROWS, _MEASURED_WIDTH, _MEASURED_TIMES = 128, 512, 20  # some 15 ms in all
_TOKENS_AT_ONCE = 2_048  # in a batch: enough for products of full speed, and few enough for a core's cache


class _Batch(NamedTuple):
    """Texts of like length in tokens."""

    rows: list[int]
    columns: slice


def has_bf16() -> bool:
    """Tell whether bf16 matrix products are worth using.

    Returns:
        True if the processor has them, oneDNN uses them, and they are faster than float32. Elsewhere they are emulated,
        which is slower, or refused; and Intel's processors with AMX switched off, as in many virtual machines, have
        them, and take 1.8 times as long as for float32.
    """
    return _has("avx512_bf16", "amx_bf16") and why_not_bf16() is None and speedup(Bf16Product) > 1


def has_int8() -> bool:
    """Tell whether int8 matrix products are worth using in an encoder.

    Returns:
        True if the processor has them (VNNI), oneDNN's are exact, and they are faster than float32.
    """
    return _has("avx512_vnni", "avx_vnni") and why_not_int8() is None and speedup(Int8Product) > 1


def _has(*features: str) -> bool:
    """Whether the processor has one of these features."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return any(capabilities.get(feature) for feature in features)


@cache
def speedup(product: type[Product]) -> float:
    """Measure how many times as fast as in float32 a matrix product is.

    Args:
        product: What multiplies.

    Returns:
        The ratio of the shortest times of small products in one thread, so that other work on the machine has no part
        in it: a thread seldom loses the processor within half a millisecond, and several wait for the last of them.
    """
    with _of_one_thread(1) as pool:
        return pool.submit(_measured_speedup, product).result()


def _measured_speedup(product: type[Product]) -> float:
    inputs, weight = torch.ones(_MEASURED_ROWS, _MEASURED_WIDTH), torch.ones(_MEASURED_WIDTH, _MEASURED_WIDTH)
    fast, given = product(weight, None), inputs.to(product.dtype)
    each: dict[str, Callable[[], object]] = {
        "fast": lambda: fast(given),
        "float32": lambda: functional.linear(inputs, weight),
    }
    shortest = dict.fromkeys(each, math.inf)
    with torch.inference_mode():
        for _ in range(_MEASURED_TIMES):
            for name, multiply in each.items():
                began = time.perf_counter()
                multiply()
                shortest[name] = min(shortest[name], time.perf_counter() - began)
    return shortest["float32"] / shortest["fast"]


def use_fast_products(model: Any) -> None:
    """Let a sentence-transformers model multiply in bf16, or else in int8, where that is worth it; in place."""
    if has_bf16():
        use_bf16(model)
    elif has_int8():
        use_int8(model)


def use_bf16(model: torch.nn.Module) -> None:
    """Convert the weights of every Linear of a model to bf16, in oneDNN's layout, in place.

    Norms, embeddings and the residual stream stay fp32. Run the model under `torch.autocast` afterwards, and only on a
    machine that `has_bf16`.
    """
    packed = {part for encoder in pack_encoders(model, Bf16Product) for part in encoder.modules()}
    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.to(torch.bfloat16)
            if module not in packed:
                module.forward = Bf16Product(module.weight, module.bias)  # type: ignore[method-assign, assignment]


def use_int8(model: Any) -> None:
    """Let the encoders of a model that can be packed multiply in int8, in place, if its vectors stay what they are.

    A few sentences tell: where their vectors have a cosine below .999 to those in float32, the model is left as it is.
    """
    features = model.preprocess(list(_SAMPLE), task="document")
    plain = _run(model, features)
    packed = pack_encoders(model, Int8Product)
    if packed and functional.cosine_similarity(_run(model, features), plain).mean() < _LEAST_COSINE:
        unpack(packed)


def embed_passages(model: Any, texts: Sequence[str], prompt: str | None) -> torch.Tensor:
    """Encode n texts to an (n, dimension) float32 tensor, as `model.encode_document`, but faster."""
    features = model.preprocess(list(texts), prompt=prompt, task="document")
    mask = features.get("attention_mask")
    if mask is None:  # a model without attention, which is fast as it is
        return _run(model, features).float()
    batches = _batches(mask, is_packed(model))
    workers = min(torch.get_num_threads(), len(batches))
    run = partial(_run_batch, model, features, mask.shape)
    vectors = _run_in_threads(run, batches, workers) if workers > 1 else [run(batch) for batch in batches]
    order = torch.tensor([row for batch in batches for row in batch.rows])
    return torch.cat(vectors).float()[order.argsort()]


def _batches(mask: torch.Tensor, mixed: bool) -> list[_Batch]:
    """Rows by their number of tokens, the longest first, so that no long batch is begun last."""
    # The rows of a batch have one length, so that nothing is padded and attention needs no mask, unless lengths may be
    # `mixed`. Padding on the left would then move the positions of a text.
    lengths = mask.sum(1).tolist()
    padded_right = bool(mask[:, 0].all())
    mixed = mixed and padded_right
    rows = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    batches = []
    while rows:
        longest = lengths[rows[0]]
        size = max(1, _TOKENS_AT_ONCE // max(1, longest))
        batch = [row for row in rows[:size] if mixed or lengths[row] == longest]
        columns = slice(0, longest) if padded_right else slice(mask.shape[1] - longest, None)
        batches.append(_Batch(batch, columns))
        rows = rows[len(batch) :]
    return batches


def _run_in_threads(run: Any, batches: list[_Batch], workers: int) -> list[torch.Tensor]:
    """Run a batch per thread: faster than all threads on each product of one batch (55 chunks/s against 47 on two)."""
    with _of_one_thread(workers) as pool:
        return list(pool.map(run, batches))


@contextmanager
def _of_one_thread(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads in each of which torch takes one alone."""
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)  # what a thread sets for itself is also the default of later threads


def _run_batch(model: Any, features: dict[str, Any], shape: torch.Size, batch: _Batch) -> torch.Tensor:
    cut = {
        name: value[batch.rows, batch.columns] if isinstance(value, torch.Tensor) and value.shape == shape else value
        for name, value in features.items()
    }
    return _run(model, cut)


def _run(model: Any, features: dict[str, Any]) -> torch.Tensor:
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bf16()):
        vectors: torch.Tensor = model(features, task="document")["sentence_embedding"]
    return vectors[..., : model.truncate_dim]
