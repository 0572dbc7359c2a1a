"""Draws the pictures of README and docs/, with the product itself.

    python jobs/draw_docs.py [--work out/docs]      of procedural persons; some minutes
    python jobs/draw_docs.py --real HEAD PELVIS     of volumes coloured from what may be shown

The first writes docs/pictures; each scene of `configs/scenes` is drawn of a trunk (CT) or a head
(T1), and what was coloured or drawn before is kept in the work folder. The second writes
docs/pictures/real-*.webp: scans and photographs of the Visible Human, which want its credit line.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

import medcolor
from medcolor.config import load_settings
from medcolor.evaluate.across import Case, write_case
from medcolor.render.frames import FrameTask, FrameWorker, plan_set
from medcolor.render.video import decode_png, encode_webp, figure
from medcolor.run.threads import usable_cores
from medcolor.storage import place_of

_ROOT = Path(__file__).parents[1]
_PICTURES = _ROOT / "docs" / "pictures"
_SCENES = _ROOT / "configs" / "scenes"
_SIDE_PX = 320
_CASES = {"trunk": Case("trunk", "ct", 2.0), "head": Case("head", "t1", 2.0)}
_OF_HEAD = ("halved", "flight", "paper", "somersault", "quarter", "opened")
"""Scenes that show more in a head."""

_REAL = {
    "head": (
        "scene.cut_out=[[0.5,1],[0,0.5],[0.5,1]]",
        "scene.start_deg=35",
        "scene.tilt_deg=28",
        "scene.zoom=1.3",
    ),
    "pelvis": (
        "scene.cut_out=[[0.5,1],[0,0.5],[0.5,1]]",
        "scene.start_deg=35",
        "scene.tilt_deg=35",
        "scene.zoom=1.2",
    ),
}

Rgb = np.ndarray


def colored(name: str, work: Path) -> Path:
    """Return the coloured volume of a person."""
    folder = work / name
    files = write_case(_CASES[name], folder)
    volume = folder / f"{name}.ome.zarr"
    report = medcolor.colorize_volume(files.scan, files.photographs, volume)
    if not report.is_complete:
        raise SystemExit(f"{volume}: {report.failures}")
    return volume


def drawn(
    volume: Path, work: Path, scene: Path | None, numbers: tuple[int, ...], of: int
) -> list[list[Rgb]]:
    """Return frames of a scene: in colour, then of the scan."""
    size = [f"render.size_px={_SIDE_PX}", f"render.frames={of}", "render.longest_side=320"]
    settings = load_settings(scene, size)
    cores = usable_cores()
    plan = plan_set(place_of(volume), work / "frames", settings.scene, settings.render, cores)
    worker = FrameWorker(plan)
    found = []
    for kind in ("frames", "grey"):
        row = []
        for number in numbers:
            worker(FrameTask(kind, number))
            row.append(decode_png((work / "frames" / kind / f"{number:04d}.png").read_bytes()))
        found.append(row)
    return found


def beside(volume: Path, work: Path, cut: Sequence[str]) -> Rgb:
    """Return an axial section and a cut-away of a volume, the scan beside the colours."""
    size = ["render.size_px=560", "render.frames=2", "render.stills=1", "scene.passes=12", *cut]
    medcolor.render_volume(volume, work, settings=load_settings(None, size))
    section = decode_png((work / "sections" / "axial.png").read_bytes())
    frames = [decode_png((work / kind / "0000.png").read_bytes()) for kind in ("grey", "stills")]
    pair = figure([frames], (16, 17, 20))
    height = round(section.shape[0] * pair.shape[1] / section.shape[1])
    above = cv2.resize(section, (pair.shape[1], height), interpolation=cv2.INTER_AREA)
    return np.concatenate([above, pair])


def save(name: str, picture: Rgb) -> None:
    """Write one picture."""
    path = _PICTURES / f"{name}.webp"
    path.write_bytes(encode_webp(picture))
    print(f"{path.relative_to(_ROOT)}: {path.stat().st_size / 1e3:.0f} kB")


def main() -> None:
    """Draw all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=_ROOT / "out" / "docs")
    parser.add_argument("--real", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    work: Path = given.work
    _PICTURES.mkdir(parents=True, exist_ok=True)
    if given.real:
        for volume, (name, cut) in zip(given.real, _REAL.items(), strict=False):
            save(f"real-{name}", beside(volume, work / f"real-{name}", cut))
        return
    volumes = {name: colored(name, work) for name in _CASES}
    black = (16, 17, 20)

    for path in [None, *sorted(_SCENES.glob("*.yaml"))]:
        name = path.stem if path else "skin"
        volume = volumes["head" if name in _OF_HEAD else "trunk"]
        (color, _grey) = drawn(volume, work, path, (0, 2, 5), 8)
        white = load_settings(path).scene.background
        save(f"scene-{name}", figure([color], white))

    # The paper's figures 8 and 9: the scan, and the same in colour.
    color, grey = drawn(volumes["head"], work, None, (0, 1, 3), 8)
    save("head", figure([grey, color], black))
    rows = [
        drawn(volumes["trunk"], work, path, (0,), 8)
        for path in (None, *(_SCENES / f"{name}.yaml" for name in ("muscle", "organs", "bone")))
    ]
    save("trunk", figure([[rows[0][1][0], *(row[0][0] for row in rows)]], black))


if __name__ == "__main__":
    main()
