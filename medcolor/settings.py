"""The base of every stage's settings.

Each stage owns a frozen dataclass beside its code, with a docstring under every
field; `config.py` gathers, validates and documents them. This base only says how
strictly, so that the numeric stages need no pydantic to be run.
"""

from __future__ import annotations

from typing import ClassVar


class Settings:
    """Base of stage settings: an unknown key is an error, words under a field document it."""

    __pydantic_config__: ClassVar[dict[str, object]] = {
        "extra": "forbid",
        "use_attribute_docstrings": True,
    }
