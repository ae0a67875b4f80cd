"""A copy of a GGUF file whose matrices are of another type."""

from __future__ import annotations

from pathlib import Path


def copy_gguf(source: Path, target: Path, matrices: str = "F32") -> Path:
    """Write a GGUF file again, with its matrices in float32 ("F32") or 8 bits ("Q8_0"); a copy that is there is kept.

    Vectors are in float32 in either.
    """
    import gguf
    import numpy as np

    if target.exists():
        return target
    kinds, types = gguf.GGMLQuantizationType, gguf.LlamaFileType
    read = gguf.GGUFReader(source)
    unfinished = target.with_suffix(".part")
    writer = gguf.GGUFWriter(unfinished, read.fields["general.architecture"].contents())
    for field in read.fields.values():
        if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
            continue
        inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], inner)
    writer.add_file_type({"F32": types.ALL_F32, "Q8_0": types.MOSTLY_Q8_0}[matrices])
    for tensor in read.tensors:
        kind = kinds[matrices] if len(tensor.shape) > 1 else kinds.F32
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        numbers = numbers.reshape([int(size) for size in reversed(tensor.shape)])
        writer.add_tensor(tensor.name, gguf.quants.quantize(numbers, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return unfinished.rename(target)
