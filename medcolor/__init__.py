"""medcolor: colours for grey CT and MRI volumes, taken from photographs of real anatomy.

    import medcolor
    medcolor.colorize_volume("t1.nii.gz", "cryosections/", "t1.ome.zarr")
    medcolor.render_volume("t1.ome.zarr", "pictures/")

Not a medical device: the colours are plausible, not measured.
"""

from typing import TYPE_CHECKING, Any

from medcolor.errors import InputError, MedcolorError, RunError

if TYPE_CHECKING:
    from medcolor.api import (
        colorize_cohort,
        colorize_volume,
        export_volume,
        plan_cohort,
        plan_volume,
        render_volume,
        verify_volume,
        view_volume,
    )

__all__ = [
    "InputError",
    "MedcolorError",
    "RunError",
    "colorize_cohort",
    "colorize_volume",
    "export_volume",
    "plan_cohort",
    "plan_volume",
    "render_volume",
    "verify_volume",
    "view_volume",
]


def __getattr__(name: str) -> Any:
    """Import the whole job on first use: the numeric core needs none of its packages."""
    if name in __all__:
        from medcolor import api

        return getattr(api, name)
    raise AttributeError(f"module 'medcolor' has no attribute {name!r}")
