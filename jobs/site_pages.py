"""What MkDocs adds to docs/ when it builds the site (a hook of mkdocs.yml).

Three references are generated from the code: all settings, all commands, the functions of Python.
Documents that stand beside the code (DOCUMENTS) become pages. Links between documents work in the
repository and on the site; on the site, a link to a file that is no page becomes the file's name,
and MkDocs reports links that lead nowhere.
"""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

import medcolor
from medcolor.cli import app
from medcolor.config import RunSettings

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]

DOCUMENTS = {
    "how-it-works.md": "ARCHITECTURE.md",
    "matching.md": "medcolor/matching/DESIGN.md",
    "clusters.md": "cluster/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
"""Documents outside docs/, by the page of the site that shows them."""

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_SECTION = re.compile(r"(Args|Returns|Raises):$")


def settings_page() -> str:
    """Return the reference of all settings: one heading a stage, one a setting."""
    schema = RunSettings.model_json_schema()
    defaults = RunSettings().model_dump(mode="json")
    lines = ["# All settings", "", "Generated from the code; `medcolor settings` prints the same."]
    for stage, reference in schema["properties"].items():
        fields = schema["$defs"][reference["$ref"].rsplit("/", 1)[-1]]["properties"]
        lines += ["", f"## {stage}", "", _one_line(reference["description"])]
        for name, field in fields.items():
            key, value = f"{stage}.{name}", json.dumps(defaults[stage][name])
            lines += ["", f"### {key} {{ data-toc-label='{name}' }}", "", f"Default: `{value}`"]
            lines += ["", _one_line(field["description"])]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Return the reference of all commands: their help, arguments and options."""
    lines = ["# All commands", "", "Generated from the code; `medcolor COMMAND --help` prints it."]
    for name, command in _commands("medcolor", typer.main.get_command(app)):
        options = [p for p in command.params if p.name not in _COMPLETION]
        arguments = [_names(p) for p in options if _is_argument(p)]
        usage = " ".join([name, *arguments])
        lines += ["", f"## {name}", "", f"`{usage}`", "", _one_line(command.help or "")]
        if options:
            lines += ["", "| argument, option | default | |", "| --- | --- | --- |"]
            lines += [f"| `{_names(p)}` | {_default(p)} | {_cell(p)} |" for p in options]
    return "\n".join(lines) + "\n"


_COMPLETION = ("install_completion", "show_completion")


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, by its whole name."""
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child, sub in children.items():
        yield from _commands(f"{name} {child}", sub)


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _names(parameter: Any) -> str:
    if _is_argument(parameter):
        return str(parameter.metavar or parameter.name.upper())
    return ", ".join(parameter.opts)


def _default(parameter: Any) -> str:
    value = parameter.default
    return "" if value is None or value is False or callable(value) else f"`{value}`"


def _cell(parameter: Any) -> str:
    return re.sub(r"([|*])", r"\\\1", _one_line(parameter.help or ""))


def python_page() -> str:
    """Return the reference of the functions and errors of `import medcolor`."""
    lines = ["# Python reference", "", "Generated from the docstrings of `import medcolor`."]
    for name in medcolor.__all__:
        member = getattr(medcolor, name)
        lines += ["", f"## {name}", ""]
        if inspect.isfunction(member):
            lines += ["```", f"medcolor.{name}{_signature(member)}", "```", ""]
        lines += _docstring(member)
    return "\n".join(lines) + "\n"


def _signature(function: Any) -> str:
    """Return a signature with each parameter on a line of its own."""
    parameters = inspect.signature(function).parameters.values()
    lines = [f"    {parameter}," for parameter in parameters]
    keyword = next((i for i, p in enumerate(parameters) if p.kind is p.KEYWORD_ONLY), None)
    if keyword is not None:
        lines.insert(keyword, "    *,")
    returned = inspect.signature(function).return_annotation
    return "\n".join(["(", *lines, f") -> {returned}"]).replace("'", "")


def _docstring(member: Any) -> list[str]:
    """Turn a Google docstring into Markdown: its sections become lists."""
    lines: list[str] = []
    in_section = False
    for line in (inspect.getdoc(member) or "").splitlines():
        if match := _SECTION.fullmatch(line):
            lines += [f"**{match[1]}**", ""]
            in_section = True
        elif in_section and re.match(r" {4}\S", line):
            entry, colon, text = line.strip().partition(": ")
            lines.append(f"- `{entry}`: {text}" if colon else f"- {entry}")
        else:
            lines.append(line)
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())


GENERATED = {
    "settings.md": settings_page,
    "commands.md": commands_page,
    "python-reference.md": python_page,
}


def site_links(markdown: str, source: str) -> str:
    """Point the links of a document at pages of the site.

    Args:
        markdown: The document.
        source: Its path in the repository.

    Returns:
        The same with links relative to docs/; links to files of the repository that are no page
        are replaced by their names.
    """
    pages = {path: page for page, path in DOCUMENTS.items()}

    def on_site(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        if "://" in target:
            return match[0]
        path = os.path.normpath(Path(source).parent / target)
        page = pages.get(path) or path.removeprefix("docs/")
        if page == path and (ROOT / path).exists():
            return f"`{path}`"
        here = {path: f"docs/{page}" for page, path in DOCUMENTS.items()}.get(source, source)
        relative = os.path.relpath(page, Path(here).relative_to("docs").parent)
        return f"[{text}]({relative}{anchor})"

    return _LINK.sub(on_site, markdown)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add generated pages and documents from outside docs/."""
    from mkdocs.structure.files import File

    for name, page in GENERATED.items():
        files.append(File.generated(config, name, content=page()))
    for name, path in DOCUMENTS.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point links at pages."""
    name = page.file.src_uri
    return site_links(markdown, DOCUMENTS.get(name, f"docs/{name}"))
