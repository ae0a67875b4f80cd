"""Rotation by Hadamard matrices, which spreads large numbers over their neighbours before these are quantised."""

from __future__ import annotations

from functools import cache

import torch


def rotate(tensor: torch.Tensor, block: int = 64) -> torch.Tensor:
    """Rotate the last dimension in blocks by Hadamard matrices.

    Args:
        tensor: Of any shape.
        block: Numbers that are rotated together, a power of two; fewer where it does not divide the width.

    Returns:
        A new tensor; rotated once more, it is what it was.
    """
    width = tensor.shape[-1]
    block = min(block, width & -width)  # the largest power of two that divides the width
    if block == 1:
        return tensor.clone()
    return (tensor.reshape(-1, block) @ _hadamard(block)).reshape(tensor.shape)


@cache
def _hadamard(size: int) -> torch.Tensor:
    matrix = torch.ones(1, 1)
    while len(matrix) < size:
        matrix = torch.cat([torch.cat([matrix, matrix], 1), torch.cat([matrix, -matrix], 1)])
    scale: float = size**-0.5
    return matrix * scale
