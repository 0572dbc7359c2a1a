"""A procedural person with known colours: the demo's input and the yardstick of the colours.

From one tissue volume, a deterministic function of a seed, come a CT, T1- and T2-weighted MR
images and a stack of cryosection-like colour photographs of the very same anatomy, so a coloured
CT or MR can be compared with the truth, voxel by voxel.

    phantom = make_phantom(seed=1, region="head", spacing_mm=2.0)
    ct = render_ct(phantom)
    truth = render_cryosection(phantom)

Arrays are (z, y, x); x grows to the patient's left, y to the back and z to the head, so `ct[z]`
shown as a picture is the radiological view.

    person.py     who it is: measures drawn from the seed
    tissues.py    what it is made of
    phantom.py    the order in which a person is painted
    drawing/      noise, coordinates, distances, brushes: knows nothing of anatomy
    anatomy/      one organ system a file, mostly tables of points in canonical millimetres
    rendering/    what CT, MR and camera see of each tissue, with the literature: scanners drawn
                  plainly (scans.py), and as in a clinic (clinical.py: noise, partial volume)

Two persons differ in measures, folding and positions, but all are variations on one plan: there
is no disease, no asymmetry of organs beyond the normal, and hands and legs end at the frame.
"""

from __future__ import annotations

from medcolor.phantom.drawing.lattice import Region
from medcolor.phantom.phantom import Phantom, make_phantom
from medcolor.phantom.rendering.clinical import render_clinical_ct, render_clinical_mri
from medcolor.phantom.rendering.cryosection import render_cryosection
from medcolor.phantom.rendering.scans import render_ct, render_mri
from medcolor.phantom.tissues import Tissue

__all__ = [
    "Phantom",
    "Region",
    "Tissue",
    "make_phantom",
    "render_clinical_ct",
    "render_clinical_mri",
    "render_cryosection",
    "render_ct",
    "render_mri",
]
