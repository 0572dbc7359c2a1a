"""Which GPU draws, where there are several.

Ray tells a worker its GPU by CUDA_VISIBLE_DEVICES, which EGL does not heed: every worker would
draw on the first. EGL tells which of its devices is which of CUDA's (EGL_NV_device_cuda).
"""

from __future__ import annotations

import ctypes
import logging
import os

_log = logging.getLogger(__name__)
_DEVICE = "VTK_DEFAULT_EGL_DEVICE_INDEX"
_CUDA_DEVICE = 0x323A  # EGL_CUDA_DEVICE_NV
_MOST = 64


def choose_device() -> None:
    """Let VTK draw on the GPU that this process was given; one that the user named stays."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
    if _DEVICE in os.environ or not given.isdecimal():
        return
    index = device_of(int(given), cuda_ordinals())
    if index is not None:
        os.environ[_DEVICE] = str(index)
        _log.info("drawing on EGL device %d, which is GPU %s", index, given)


def device_of(gpu: int, ordinals: list[int | None]) -> int | None:
    """Return which of EGL's devices a GPU is, or None if EGL does not know it.

    Args:
        gpu: As CUDA counts them, without CUDA_VISIBLE_DEVICES.
        ordinals: Of each of EGL's devices; None where it is no GPU of CUDA's.
    """
    return ordinals.index(gpu) if gpu in ordinals else None


def cuda_ordinals() -> list[int | None]:
    """Return which GPU each of EGL's devices is; nothing where EGL cannot tell."""
    try:
        egl = ctypes.CDLL("libEGL.so.1")
    except OSError:
        return []
    egl.eglGetProcAddress.restype = ctypes.c_void_p
    egl.eglGetProcAddress.argtypes = [ctypes.c_char_p]
    query_devices = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    query_attribute = egl.eglGetProcAddress(b"eglQueryDeviceAttribEXT")
    if not (query_devices and query_attribute):
        return []
    devices, count = (ctypes.c_void_p * _MOST)(), ctypes.c_int()
    listing = ctypes.CFUNCTYPE(
        ctypes.c_uint, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int)
    )(query_devices)
    if not listing(_MOST, devices, ctypes.byref(count)):
        return []
    asking = ctypes.CFUNCTYPE(
        ctypes.c_uint, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_ssize_t)
    )(query_attribute)
    found: list[int | None] = []
    for device in devices[: count.value]:
        ordinal = ctypes.c_ssize_t()
        is_known = asking(device, _CUDA_DEVICE, ctypes.byref(ordinal))
        found.append(ordinal.value if is_known else None)
    return found
