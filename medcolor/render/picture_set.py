"""What a picture set holds beside its frames: video, stills, sections, page and record."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from medcolor.errors import InputError
from medcolor.fetch import CHECKSUMS
from medcolor.render.frames import FrameReport, FrameTask, Kind, SetPlan, frame_name
from medcolor.render.free_view import FreeView, most_packed_bytes
from medcolor.render.free_volume import make_free_volume
from medcolor.render.own_png import is_marked
from medcolor.render.page import (
    PageContent,
    PicturePair,
    Section,
    SectionStack,
    View,
    page_file,
)
from medcolor.render.scene import Frame, is_loop
from medcolor.render.sections import (
    EDGES,
    PLANES,
    cut,
    find_body,
    middle_sections,
    read_section,
    spread,
)
from medcolor.render.video import (
    Rgb,
    decode_png,
    encode_animation,
    encode_video,
    encode_webp,
    figure,
)
from medcolor.storage import (
    Place,
    json_bytes,
    list_sizes,
    plain_key,
    read_object,
    write_atomic,
)
from medcolor.volume.files import list_files
from medcolor.volume.images import encode_png
from medcolor.volume.store import read_slices

_log = logging.getLogger(__name__)
_THUMBNAIL_PX = 256
_ANIMATION_PX = 384
_PAGE_VIEWS = 72
"""Most frames that a page carries: more than this nobody tells apart, and it is to be mailed."""

_SECTION_PX = 420
_PAGE_BLACK = np.array([16, 17, 20], np.uint8)
_FIGURE_VIEWS = 4

RECORD = "render.json"
PAGE = "index.html"
THUMBNAIL = "thumbnail.webp"
_FOLDERS: tuple[Kind, ...] = ("frames", "stills", "grey")
_WRITTEN = (
    RECORD, CHECKSUMS, PAGE, THUMBNAIL, *_FOLDERS,
    "sections", "figure.png", "turntable.mp4", "turntable.webp",
)  # fmt: skip
"""All that a set consists of."""


def frame_tasks(plan: SetPlan) -> list[FrameTask]:
    """Return all frames to draw: those of the scan after those in colour."""
    every = range(plan.settings.frames)
    numbers: dict[Kind, Sequence[int]] = {"frames": every, "stills": plan.stills}
    if plan.settings.grey and plan.has_grey:
        numbers["grey"] = every
    return [FrameTask(kind, number) for kind, some in numbers.items() for number in some]


def delete_stale_frames(plan: SetPlan) -> None:
    """Delete the frames that an earlier set had more; nothing else, whatever its name."""
    drawn = {f"{task.stage}/{frame_name(task.number)}" for task in frame_tasks(plan)}
    for kind in _FOLDERS:
        folder = plan.output / kind
        if not folder.is_dir():
            continue
        for path in list_files(folder):
            is_frame = path.suffix == ".png" and path.stem.isdecimal()
            if not is_frame or f"{kind}/{path.name}" in drawn:
                continue
            if is_marked(path.read_bytes()):
                path.unlink()
            else:
                _log.warning("%s: left there, since it was not drawn by medcolor", path)


def is_drawn(plan: SetPlan) -> bool:
    """Tell whether the same set lies there, whole by the sizes of its files.

    Raises:
        InputError: Its checksums name a file outside.
    """
    record, sums = (read_object(plan.output / name) or {} for name in (RECORD, CHECKSUMS))
    if not (plan.identity and sums) or record.get("identity") != plan.identity:
        return False
    for key in sums:
        plain_key(key, plan.output / CHECKSUMS, "Delete this file, and draw again")
    there, written = list_sizes(plan.output), record.get("bytes", {})
    files = sums.keys() - {RECORD}
    return written.keys() == files and all(there.get(name) == written[name] for name in files)


def claim(output: Place) -> None:
    """Mark a folder as one of pictures, or refuse one that holds somebody else's.

    Raises:
        InputError: There are files that a set would be written over, and it is none.
    """
    if "identity" in (read_object(output / RECORD) or {}):
        return
    for name in _WRITTEN:
        if (output / name).exists():
            raise InputError(
                output / name, "exists and was not drawn by medcolor", "Choose another folder"
            )
    write_atomic(output / RECORD, json_bytes({"identity": ""}))


def finish_set(
    plan: SetPlan, drawn: Mapping[FrameTask, FrameReport], body: bytes | None = None
) -> Place:
    """Write all but the frames, which lie there; return the page.

    Args:
        plan: Of the set.
        drawn: What came of each frame.
        body: WebP file that the run left: what was taken for body.
    """
    sums = {f"{task.stage}/{frame_name(task.number)}": one.sha256 for task, one in drawn.items()}

    def put(name: str, content: bytes) -> Place:
        sums[name] = hashlib.sha256(content).hexdigest()
        write_atomic(plan.output / name, content)
        return plan.output / name

    color = _Frames(plan, "frames")
    grey = _Frames(plan, "grey") if FrameTask("grey", 0) in drawn else None
    best = _Frames(plan, "stills") if plan.stills else color
    put("turntable.mp4", encode_video(color, plan.settings.frames_per_second))
    put("turntable.webp", encode_animation(color, plan.settings.frames_per_second, _ANIMATION_PX))
    put(THUMBNAIL, encode_webp(best[0], _THUMBNAIL_PX))
    put("figure.png", encode_png(_figure(plan, best, grey)))
    for name, picture in middle_sections(plan.volume, plan.levels, has_grey=plan.has_grey).items():
        put(f"sections/{name}.png", encode_png(picture))
    page = put(PAGE, _page(plan, color, grey, body))
    there = list_sizes(plan.output)
    sizes = {name: there[name] for name in sums}
    put(RECORD, json_bytes({**_record(plan, drawn), "bytes": sizes}))
    write_atomic(plan.output / CHECKSUMS, json_bytes(sums))
    return page


class _Frames:
    """The frames of a folder, as workers wrote them; read when they are asked for."""

    def __init__(self, plan: SetPlan, kind: Kind) -> None:
        self._folder, self._count = plan.output / kind, plan.settings.frames

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Rgb:
        return decode_png((self._folder / frame_name(number)).read_bytes())

    def __iter__(self) -> Iterator[Rgb]:
        return (self[number] for number in range(self._count))


def _figure(plan: SetPlan, color: _Frames, grey: _Frames | None) -> Rgb:
    """Return the scan above its colours from a few sides, as the paper's figures 8 and 9."""
    at = plan.stills[:_FIGURE_VIEWS] or plan.views(_FIGURE_VIEWS)
    rows = [grey, color] if grey else [color]
    return figure([[row[number] for number in at] for row in rows], plan.scene.background)


def _page(plan: SetPlan, color: _Frames, grey: _Frames | None, body: bytes | None) -> bytes:
    step = -(-len(color) // _PAGE_VIEWS)
    views = tuple(
        View(
            PicturePair(
                encode_webp(color[number]), None if grey is None else encode_webp(grey[number])
            ),
            _label(plan.frames[number]),
        )
        for number in range(0, len(color), step)
    )
    content = PageContent(
        title=plan.volume.name.removesuffix(".ome.zarr"),
        views=views,
        is_loop=is_loop(plan.scene),
        frames_per_second=max(1, round(plan.settings.frames_per_second / step)),
        stacks=_stacks(plan),
        facts=_facts(plan),
        credits=(*([plan.about.credit] if plan.about.credit else []), *plan.settings.credits),
        body=body,
    )
    page = page_file(content)
    free = _free_view(plan, len(page)) if plan.settings.free_view else None
    return page if free is None else page_file(replace(content, free=free))


def _free_view(plan: SetPlan, page_bytes: int) -> FreeView | None:
    """Return the second tab of a page that has this size without it."""
    room = most_packed_bytes(page_bytes)
    volume = make_free_volume(plan.volume, plan.levels, plan.about, plan.scene, room)
    if volume is None:
        _log.warning(
            "%s: no level is small enough for the 3-D tab of the page (store.smallest_side)",
            plan.volume.name,
        )
        return None
    return FreeView(volume, plan.scene)


def _label(frame: Frame) -> str:
    if frame.cut is None:
        return f"{frame.angle_deg:.0f}°"
    axis, position = frame.cut
    return f"{PLANES[axis]} cut at {100 * position:.0f} %"


def _stacks(plan: SetPlan) -> tuple[SectionStack, ...]:
    """Return sections of the drawn level through the whole body."""
    level = plan.drawn
    box = find_body(plan.volume, plan.levels).of(level)
    voxels = np.moveaxis(read_slices(plan.volume, level.index, range(level.shape[0])), -1, 0)
    stacks = []
    for axis, plane in enumerate(PLANES):
        sections, mm_per_px = [], 1.0
        for index, position_mm in spread(level, plane, plan.settings.sections, box[axis]):
            rgba, pixel_mm = read_section(voxels, level, plane, index, box)
            made = cut(rgba, pixel_mm, plane, _SECTION_PX, has_grey=plan.has_grey)
            mm_per_px = made.mm_per_px
            # Black of the page's own darkness: no box shows around a section.
            color, grey = (
                None if one is None else encode_webp(np.maximum(one, _PAGE_BLACK))
                for one in (made.color, made.grey)
            )
            assert color is not None
            pair = PicturePair(color, grey)
            sections.append(Section(pair, position_mm))
        stacks.append(SectionStack(plane, tuple(sections), mm_per_px, EDGES[plane]))
    return tuple(stacks)


def _facts(plan: SetPlan) -> dict[str, str]:
    finest, scene = plan.levels[0], plan.scene
    chosen = scene.opacity if scene.opacity_points is None else "points of its own"
    return {
        "Voxels": " x ".join(str(side) for side in finest.shape[::-1]),
        "Voxel size": " x ".join(f"{side:.3g}" for side in finest.spacing_mm[::-1]) + " mm",
        "Drawn from": " x ".join(str(side) for side in plan.drawn.shape[::-1]),
        "Opacity": chosen,
        "Frames": f"{plan.settings.frames}, {scene.path}",
    }


def _record(plan: SetPlan, drawn: Mapping[FrameTask, FrameReport]) -> dict[str, object]:
    """Return what was drawn and how, so that it can be drawn again."""
    cameras = [
        {**asdict(frame), **asdict(drawn[FrameTask("frames", number)].camera)}
        for number, frame in enumerate(plan.frames)
    ]
    return {
        "identity": plan.identity,
        "volume": plan.volume.name,
        "voxels": list(plan.levels[0].shape[::-1]),
        "spacing_mm": list(plan.levels[0].spacing_mm[::-1]),
        "drawn_level": plan.drawn.index,
        "scene": asdict(plan.scene),
        "settings": asdict(plan.settings),
        "cameras": cameras,
    }
