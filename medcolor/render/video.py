"""Frames as H.264, WebP and figures; as bytes, so that they may go to a bucket."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

Rgb = UInt8[np.ndarray, "_row _col 3"]

_WEBP_QUALITY = 82
_GAP_PX = 8


def encode_video(frames: Iterable[Rgb], frames_per_second: int) -> bytes:
    """Return an MP4 that every browser plays (H.264, yuv420p, index at the front).

    The same frames give the same bytes from 128 pixels on; of smaller ones x264 decides otherwise
    now and then.

    Args:
        frames: At least one, equal even sides.
        frames_per_second: Of the video.
    """
    import av

    with tempfile.TemporaryDirectory() as folder:  # a file: the index is put in front afterwards
        path = Path(folder) / "video.mp4"
        with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=frames_per_second)
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": "18", "preset": "medium"}
            for frame in frames:
                if not stream.codec_context.is_open:
                    stream.height, stream.width = frame.shape[:2]
                for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)
        return path.read_bytes()


def encode_animation(frames: Iterable[Rgb], frames_per_second: int, side_px: int) -> bytes:
    """Return an animated WebP that plays for ever, no larger than `side_px`."""
    first, *rest = [Image.fromarray(_within(frame, side_px)) for frame in frames]
    target = io.BytesIO()
    first.save(
        target,
        "WEBP",
        save_all=True,
        append_images=rest,
        duration=round(1000 / frames_per_second),
        loop=0,
        quality=_WEBP_QUALITY,
    )
    return target.getvalue()


def encode_webp(picture: Rgb, side_px: int | None = None) -> bytes:
    """Return a WebP, no larger than `side_px`."""
    small = picture if side_px is None else _within(picture, side_px)
    target = io.BytesIO()
    Image.fromarray(small).save(target, "WEBP", quality=_WEBP_QUALITY)
    return target.getvalue()


def decode_png(content: bytes) -> Rgb:
    """Return the pixels of a PNG."""
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(found, np.uint8)[..., ::-1])


def figure(rows: Sequence[Sequence[Rgb]], background: tuple[int, int, int]) -> Rgb:
    """Return pictures of one size as a table with gaps."""
    height, width = rows[0][0].shape[:2]
    table = np.empty(
        (
            len(rows) * (height + _GAP_PX) - _GAP_PX,
            len(rows[0]) * (width + _GAP_PX) - _GAP_PX,
            3,
        ),
        np.uint8,
    )
    table[:] = background
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            top, left = i * (height + _GAP_PX), j * (width + _GAP_PX)
            table[top : top + height, left : left + width] = picture
    return table


def _within(picture: Rgb, side_px: int) -> Rgb:
    """Return a picture no larger than `side_px`."""
    scale = side_px / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
