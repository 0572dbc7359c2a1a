"""A plain page over one picture set: turntable to drag, video, sections."""

from __future__ import annotations

import html
from pathlib import Path
from string import Template

_NOTICE = (
    "Not a medical device. The colours are plausible, taken from photographs of other bodies; "
    "they are no measurement of this one."
)

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: dark; }
body { margin: 0 auto; padding: 1.5rem; max-width: 76rem; background: #101114; color: #e8e4dc;
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .2rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
.notice { color: #d9b36c; } img, video { max-width: 100%; height: auto; display: block; }
.turn { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); }
input[type=range] { width: 100%; } dl { display: grid; grid-template-columns: max-content 1fr;
  gap: .1rem 1rem; } dt { color: #a9a294; } dd { margin: 0; }
</style>
</head>
<body>
<h1>$title</h1>
<p class="notice">$notice</p>
<div class="turn">
<div>
<h2><label for="angle">Turn it</label></h2>
<img id="frame" src="frames/0000.png" width="$size" height="$size" alt="Coloured volume, ray cast">
<input id="angle" type="range" min="0" max="$last" value="0">
</div>
<div>
<h2>Turntable</h2>
<video src="turntable.mp4" width="$size" height="$size" controls loop muted playsinline></video>
</div>
</div>
$sections
<h2>About</h2>
<dl>$facts</dl>
<script>
const frame = document.getElementById("frame"), angle = document.getElementById("angle");
angle.addEventListener("input", () => {
  frame.src = "frames/" + angle.value.padStart(4, "0") + ".png";
});
</script>
</body>
</html>
""")


def write_page(
    folder: Path, facts: dict[str, object], sections: list[Path], *, size_px: int
) -> Path:
    """Write `index.html` over the pictures of `folder`; it asks for nothing outside it."""
    pictures = "\n".join(
        f"<h2>{html.escape(path.stem.capitalize())}, scan and colour</h2>\n"
        f'<img src="sections/{html.escape(path.name)}" loading="lazy" '
        f'alt="{html.escape(path.stem)}: the grey scan beside its colours">'
        for path in sections
    )
    listed = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(str(value))}</dd>"
        for name, value in facts.items()
    )
    page = _PAGE.substitute(
        title=html.escape(str(facts["volume"])),
        notice=_NOTICE,
        size=size_px,
        last=int(str(facts["frames"])) - 1,
        sections=pictures,
        facts=listed,
    )
    path = folder / "index.html"
    path.write_text(page)
    return path
