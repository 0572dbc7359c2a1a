"""Random anatomy for training the embedded network: stylised and invented, of any contrast.

Nothing is taken from real scans, from the Visible Human or from the evaluation phantom.
The idea follows SynthMorph (Hoffmann et al. 2022, doi:10.1109/TMI.2021.3116879):
features that agree between random contrasts agree between real ones.

    noise.py      smooth noise in two and three dimensions, cut at levels of bodies
    tissues.py    what the labels mean
    human.py      stylised human bodies as label maps
    invented.py   bodies that exist nowhere
    bodies.py     both, and how much persons differ
    contrast.py   label maps as CT, MRI, photograph or nothing in particular
    deform.py     smooth deformations of images and label maps
"""
