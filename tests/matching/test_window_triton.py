"""The GPU kernel without a GPU: Triton's interpreter runs it (test_search.py); here it compiles."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from medcolor.matching.window_triton import _search

kinds = {name: "*fp32" for name in ("cost", "score", "scratch")}
kinds |= {"own": "*fp16", "other": "*fp16"}
kinds |= {"base": "*i64", "position": "*i64", "own_mask": "*i8", "allowed": "*i8"}
kinds |= {name: "i32" for name in ("rows", "cols", "rows2", "cols2", "blocks")}
sizes = {"CHANNELS": 32, "RADIUS": 2, "REACH": 1, "CELLS": 16, "PLACES": 64, "CHUNK": 16}
signature = {parameter.name: kinds.get(parameter.name, "constexpr") for parameter in _search.params}
code = triton.compile(ASTSource(_search, signature, sizes), target=GPUTarget("cuda", 90, 32)).asm
print("mma" in code["ptx"], len(code["cubin"]) > 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Triton is for Linux")
def test_the_kernel_compiles_for_an_h100_and_multiplies_on_its_tensor_cores(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["True", "True"]
