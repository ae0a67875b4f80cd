"""The memory that a long prompt needs, from a model's configuration, and the memory that is free."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from longctx.errors import BadRequest, NotEnoughMemory
from longctx.quantities import parse_size

CacheDtype = Literal["model", "int8"]  # how keys and values are kept

# Tokens of a block, beyond which it gains no speed. On a CPU the activations of more leave its caches, and are larger
# than the 64 MiB that glibc keeps for a thread (see `freed_memory`).
_LARGEST_BLOCK, _LARGEST_BLOCK_ON_CPU = 2048, 512
_SMALLEST_BLOCK = 16
_SPARE = 64 * 2**20  # bytes left to the rest of the machine
_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Need:
    """The memory for more tokens of a sequence.

    Attributes:
        tokens: How many tokens.
        cache_bytes: Bytes of their keys and values.
        block_bytes: Bytes of activations for each token of a block of the prefill.
    """

    tokens: int
    cache_bytes: int
    block_bytes: int

    @property
    def least(self) -> int:
        """Bytes with the smallest block."""
        return self.cache_bytes + _SMALLEST_BLOCK * self.block_bytes + _SPARE


def check_cache_dtype(dtype: object) -> None:
    """Check how keys and values are to be kept. Raises BadRequest for what is no `CacheDtype`."""
    if dtype not in get_args(CacheDtype):
        raise BadRequest(f"cache_dtype is {dtype!r}: use {' or '.join(get_args(CacheDtype))}")


def parse_bytes(text: str) -> int:
    """Parse an amount of memory.

    Args:
        text: Such as '80GiB' or '80 G' (powers of 1,024) or '80GB' (powers of 1,000).

    Returns:
        Bytes.

    Raises:
        BadRequest: For any other text.
    """
    try:
        size = parse_size(text)
    except ValueError as error:
        raise BadRequest(f"memory is {text!r}: {error}") from None
    if not size:
        raise BadRequest(f"memory is {text!r}: write it like 80GiB")
    return size


def block_bytes(model: Any, tokens: int, *, masked: bool) -> int:
    """Bytes of activations that one token of a block takes at its widest; with a mask, they grow with the past."""
    config = model.config.get_text_config()
    hidden = config.hidden_size
    wide = getattr(config, "intermediate_size", None) or 4 * hidden
    width = 8 * hidden + 3 * (max(wide) if isinstance(wide, list | tuple) else wide)  # one number for each layer
    return int(width * model.dtype.itemsize + (tokens * 5 if masked else 0))


def block_tokens(need: Need, free: int, device: Any) -> int:
    """The block, in tokens, that a quarter of what the cache leaves on a device has room for: a power of two."""
    room = max(0, free - need.cache_bytes) // 4 // max(1, need.block_bytes)
    size = min(_LARGEST_BLOCK_ON_CPU if device.type == "cpu" else _LARGEST_BLOCK, max(_SMALLEST_BLOCK, room))
    return 1 << (size.bit_length() - 1)


def weight_bytes(model: Any) -> int:
    """Bytes of a model's weights as they are held: quantised ones with their scales, shared ones once."""
    from longctx.models.packing import packed_products

    tensors = {tensor.data_ptr(): tensor.nbytes for tensor in model.state_dict().values()}
    return int(sum(tensors.values())) + sum(product.nbytes for _, product in packed_products(model))


def check(need: Need, free: int, weights: int) -> None:
    """Raise NotEnoughMemory if the smallest block would not fit, with the numbers and what would."""
    if need.least <= free:
        return
    each = max(1, need.cache_bytes // max(1, need.tokens))
    fitting = max(0, free - (need.least - need.cache_bytes)) // each
    raise NotEnoughMemory(
        f"{need.tokens} more tokens need {_mib(need.least)} MiB ({_mib(need.cache_bytes)} of it for their keys and "
        f"values) beside {_mib(weights)} MiB of weights, and {_mib(free)} MiB are free: about {fitting} tokens would "
        "fit; shorten the prompt, or keep keys and values in int8 (cache_dtype='int8')"
    )


def available_bytes(device: Any) -> int:
    """Memory that can be had on a device without swapping; for a CPU, within the limits of its control group."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    return min(_machine_bytes(), _group_bytes())


def _machine_bytes() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _group_bytes() -> int:
    """What a Linux control group (version 2) leaves: its limit, less what is used and cannot be dropped."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return 2**63 if limit == "max" else max(0, int(limit) - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):
        return 2**63


def _mib(count: int) -> int:
    return -(-count // 2**20)
