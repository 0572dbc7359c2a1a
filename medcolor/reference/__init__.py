"""From photographs of cross-sections to references."""

from medcolor.reference.library import ReferenceRecord, list_references, load_reference
from medcolor.reference.prepare import ReferenceSettings, prepare_photograph

__all__ = [
    "ReferenceRecord",
    "ReferenceSettings",
    "list_references",
    "load_reference",
    "prepare_photograph",
]
