"""Follow the whole path of a GPU on the meta device and compile all its kernels for an H100.

A program for a process of its own: in that of the tests Triton interprets. Prints a line a kernel:
its name, whether it multiplies on tensor cores, how it reads features.
"""

from __future__ import annotations

import re

import torch
import triton
from test_device import FAST, FEW, GLOBAL, PAPER, gather_on_meta, network_on_meta
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from medcolor import gpu

KINDS = {
    torch.bool: "*i1",
    torch.bfloat16: "*bf16",
    torch.float16: "*fp16",
    torch.float32: "*fp32",
    torch.int32: "*i32",
    torch.int64: "*i64",
}
NUMBERS = {int: "i32", float: "fp32"}
OPTIONS = ("num_warps", "num_stages")


def variants(shapes):
    """Return what is compiled for slices of some shapes: kernel, types, constants, options."""
    seen = {}

    def record(program, _grid, *inputs, **constants):
        options = {key: constants.pop(key) for key in OPTIONS if key in constants}
        kinds = [
            KINDS[one.dtype] if isinstance(one, torch.Tensor) else NUMBERS[type(one)]
            for one in inputs
        ]
        key = program.fn.__qualname__, *kinds, *constants.items(), *options.items()
        seen.setdefault(key, (program, kinds, constants, options))

    gpu.launch = record
    network = network_on_meta()
    for settings in (FAST, GLOBAL, PAPER):
        gather_on_meta(network, settings, shapes)
    return seen


def main() -> None:
    """Record what would be launched, then compile it."""
    seen = variants(FEW)
    for program, kinds, constants, options in seen.values():
        free = iter(kinds)
        signature = {
            part.name: "constexpr" if part.name in constants else next(free)
            for part in program.params
        }
        source = ASTSource(program, signature, constants)
        code = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
        ptx = code.asm["ptx"]
        wide = bool(re.search(r"cp\.async.*0x10,|ld\.global\.v4", ptx))
        print(program.fn.__qualname__, "mma" in ptx, wide, len(code.asm["cubin"]) > 0)
        for part in program.params:  # a size must not ask for a kernel of its own
            if signature[part.name] == "i32" and not part.do_not_specialize:
                raise SystemExit(f"{program.fn.__qualname__}: {part.name} is specialised")
    if set(variants([(112, 80), (96, 96)])) != set(seen):
        raise SystemExit("other shapes of slices ask for other kernels")
