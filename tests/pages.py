"""Pages to test with: every picture is one flat colour that tells which it is."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from medcolor.render.page import PageContent, PicturePair, Section, SectionStack, View

PLANES = {"axial": 1, "coronal": 2, "sagittal": 3}
EDGES = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "S", "I"),
    "sagittal": ("A", "P", "S", "I"),
}
GREY = (90, 90, 90)


def view_color(index):
    return (200, 10 * index, 0)


def section_color(plane, index):
    return (0, 10 * index, 60 * PLANES[plane])


def flat_webp(rgb, size=(48, 48)):
    """Return a WebP file of one colour, exactly."""
    file = BytesIO()
    Image.new("RGB", size, rgb).save(file, "WEBP", lossless=True)
    return file.getvalue()


def pair(rgb, size=(48, 48), *, has_scan=True):
    return PicturePair(flat_webp(rgb, size), flat_webp(GREY, size) if has_scan else None)


def make_stack(plane, count=9, *, has_scan=True):
    """Return sections of 100 x 200 mm, 5 mm apart, the middle one at 0 mm."""
    sections = tuple(
        Section(pair(section_color(plane, k), (40, 80), has_scan=has_scan), 5.0 * (k - count // 2))
        for k in range(count)
    )
    return SectionStack(plane, sections, mm_per_px=2.5, edges=EDGES[plane])


def make_content(views=12, planes=tuple(PLANES), *, has_scan=True):
    """Return the content of a page: a turntable of `views`, and nine sections a plane."""
    return PageContent(
        title="t1.ome.zarr",
        views=tuple(
            View(pair(view_color(k), has_scan=has_scan), f"{360 * k // views}°")
            for k in range(views)
        ),
        is_loop=True,
        frames_per_second=20,
        stacks=tuple(make_stack(plane, has_scan=has_scan) for plane in planes),
        facts={"voxels": "40 x 40 x 80", "preset": "skin"},
        credits=("Photographs: somebody",),
    )
