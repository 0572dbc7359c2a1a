"""Frames to H.264."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8


def write_video(
    path: Path, frames: Sequence[UInt8[np.ndarray, "row col 3"]], frames_per_second: int
) -> None:
    """Write an MP4 that every browser plays (yuv420p, index at the front).

    Args:
        path: *.mp4.
        frames: RGB, at least one, equal even sides.
        frames_per_second: Of the video.
    """
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=frames_per_second)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "preset": "medium"}
        stream.height, stream.width = frames[0].shape[:2]
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
