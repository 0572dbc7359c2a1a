"""medcolor: colours for grey CT and MRI volumes, taken from photographs of real anatomy.

    import medcolor
    medcolor.colorize_volume("t1.nii.gz", "cryosections/", "t1.ome.zarr")
    medcolor.render_volume("t1.ome.zarr", "pictures/")

Not a medical device: the colours are plausible, not measured.
"""

from medcolor.api import colorize_volume, render_volume
from medcolor.errors import InputError, MedcolorError, RunError

__all__ = ["InputError", "MedcolorError", "RunError", "colorize_volume", "render_volume"]
