"""The page of one picture set and that of a cohort: single files of HTML that ask for nothing.

Pictures, styles and scripts lie in the file itself, so that it works from a disk, from a bucket
and by mail. The sources lie beside this module: `page.*`, `cohort.*`, and `look.css` for both.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from string import Template
from urllib.parse import urlsplit

from PIL import Image

from medcolor.render.free_view import FreeParts, FreeView, free_parts
from medcolor.render.page_source import inert_json, script_source, source

_NOTICE = (
    "Not a medical device. The colours are plausible, taken from photographs of other bodies; "
    "they are no measurement of this one."
)


@dataclass(frozen=True)
class PicturePair:
    """The same view in colour and in grey."""

    color: bytes
    """WebP file."""

    grey: bytes | None
    """WebP file of the grey scan, as large as `color`; None if the volume holds no scan."""


@dataclass(frozen=True)
class View:
    """One frame of the camera's path."""

    pictures: PicturePair

    label: str
    """Where the camera is, in words: "135°", "axial cut at 42 mm"."""


@dataclass(frozen=True)
class Section:
    """One section through the body: transparent around it, for it may lie in a larger frame."""

    pictures: PicturePair

    position_mm: float
    """Along the axis at right angles to the plane."""


@dataclass(frozen=True)
class SectionStack:
    """Parallel sections, in the order in which they are leafed through."""

    plane: str
    """axial, coronal, sagittal."""

    sections: tuple[Section, ...]
    """At least one, all of one size."""

    mm_per_px: float
    """Of the pictures, along both sides."""

    edges: tuple[str, str, str, str]
    """Which side of the patient lies at the left, right, top and bottom: R, L, A, P, S or H, I
    or F."""


@dataclass(frozen=True)
class PageContent:
    """All that a page shows."""

    title: str

    views: tuple[View, ...]
    """At least one, all of one size: a turntable or a way through the body."""

    is_loop: bool
    """Whether the first view follows the last."""

    frames_per_second: int

    stacks: tuple[SectionStack, ...]
    """May be empty."""

    facts: Mapping[str, str]
    """What is told of volume and run."""

    credits: tuple[str, ...]
    """Lines that name whose data was used."""

    body: bytes | None = None
    """WebP file: what was taken for body; None if the run did not keep it."""

    free: FreeView | None = None
    """The second tab; None if there is none."""


@dataclass(frozen=True)
class CohortEntry:
    """One picture set among several."""

    name: str

    href: str
    """Address of its page from the cohort's page, percent-encoded where names need it."""

    thumbnail: bytes
    """WebP file."""

    facts: Mapping[str, str]


def page_file(content: PageContent) -> bytes:
    """Return the page of one picture set: a file of HTML.

    Raises:
        ValueError: No view, a plane without sections, a picture that is no WebP, or a grey scan
            in some pictures of a path or plane and not in others.
    """
    first = content.views[0] if content.views else None
    if first is None:
        raise ValueError("a page shows at least one view")
    with Image.open(BytesIO(first.pictures.color)) as image:
        width, height = image.size
    views = {
        "title": content.title,
        "labels": [view.label for view in content.views],
        "isLoop": content.is_loop,
        "framesPerSecond": content.frames_per_second,
        **_sources([view.pictures for view in content.views]),
    }
    data = {"views": views, "stacks": [_stack(stack) for stack in content.stacks]}
    free = free_parts(content.free)
    lines = (*content.credits, *free.credits)
    return _filled(
        "page",
        free,
        title=escape(content.title),
        aspect=f"{width / height:.4f}",
        width=str(width),
        height=str(height),
        first=_data_uri(first.pictures.color),
        label=escape(first.label),
        alt=escape(f"{content.title}: {first.label}"),
        facts=_headed("About this volume", "facts", _definitions(content.facts)),
        body=_headed("What is body", "outlines", _picture(content.body)),
        credits=_headed("Credits", "credits", _list(lines) + free.licence),
        content=inert_json(data),
    )


def cohort_file(title: str, entries: Sequence[CohortEntry]) -> bytes:
    """Return the page that leads to those of several picture sets, in the order given.

    Raises:
        ValueError: An address that is not relative, or a thumbnail that is no WebP.
    """
    items = "\n".join(_entry(entry) for entry in entries)
    return _filled("cohort", free_parts(None), title=escape(title), entries=items)


def _filled(kind: str, free: FreeParts, **texts: str) -> bytes:
    """Fill the template `kind` with its style, its script and `texts`, which are HTML."""
    script = f"\n{source(f'{kind}.js')}\n"
    # The scripts that run are named by their digests: none that slips into a text ever would.
    scripts = " ".join([script_source(script), *free.policy])
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {scripts}; base-uri 'none'; form-action 'none'"
    )
    page = Template(source(f"{kind}.html")).substitute(
        {**texts, **free.texts},
        policy=policy,
        notice=escape(_NOTICE),
        style=source("look.css") + source(f"{kind}.css") + free.style,
        script=script.strip("\n"),
    )
    # Names of files may hold what is no text; a question mark stands for it.
    return page.encode("utf-8", errors="replace")


def _stack(stack: SectionStack) -> dict[str, object]:
    if not stack.sections:
        raise ValueError(f"{stack.plane}: a plane needs at least one section")
    return {
        "plane": stack.plane,
        "mm_per_px": stack.mm_per_px,
        "edges": stack.edges,
        "positions_mm": [section.position_mm for section in stack.sections],
        **_sources([section.pictures for section in stack.sections]),
    }


def _sources(pairs: Sequence[PicturePair]) -> dict[str, list[str] | None]:
    """Return the addresses of the pictures in colour, and of those in grey if there are any."""
    grey = [_data_uri(pair.grey) for pair in pairs if pair.grey is not None]
    if grey and len(grey) < len(pairs):
        raise ValueError(f"{len(grey)} of {len(pairs)} pictures have a grey one: all or none do")
    return {"color": [_data_uri(pair.color) for pair in pairs], "grey": grey or None}


def _data_uri(webp: bytes) -> str:
    if webp[:4] != b"RIFF" or webp[8:12] != b"WEBP":
        raise ValueError(f"pictures are WebP files, this one begins with {webp[:12]!r}")
    return "data:image/webp;base64," + b64encode(webp).decode()


def _headed(heading: str, name: str, body: str) -> str:
    if not body:
        return ""
    return f'<section class="{name}">\n<h2>{heading}</h2>\n{body}\n</section>'


def _definitions(facts: Mapping[str, str]) -> str:
    pairs = "\n".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return f"<dl>\n{pairs}\n</dl>" if pairs else ""


def _picture(webp: bytes | None) -> str:
    if webp is None:
        return ""
    alt = "Slices of the scan with the outline of what was taken for body"
    return f'<img src="{_data_uri(webp)}" alt="{alt}" loading="lazy">'


def _list(lines: Sequence[str]) -> str:
    items = "\n".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>\n{items}\n</ul>" if items else ""


def _entry(entry: CohortEntry) -> str:
    address = urlsplit(entry.href)
    if address.scheme or address.netloc or address.path.startswith("/"):
        raise ValueError(f"{entry.href}: addresses of a cohort's pages are relative to its own")
    # The name stands in the heading; the picture adds nothing to it for those who hear the page.
    return (
        f'<li><a href="{escape(entry.href)}">'
        f'<img src="{_data_uri(entry.thumbnail)}" alt="" decoding="async">'
        f'<div class="words"><h2>{escape(entry.name)}</h2>'
        f"{_definitions(entry.facts)}</div></a></li>"
    )
