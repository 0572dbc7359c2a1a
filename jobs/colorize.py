r"""Colour one volume on the Ray cluster this job was submitted to.

    ray job submit --working-dir . -- \
        python jobs/colorize.py /data/t1.nii.gz /data/cryosections /data/t1.ome.zarr

Paths are those of the cluster's nodes, and absolute: the job runs in a copy of the
submitted folder. Exit status as `medcolor colorize`.
"""

from __future__ import annotations

import sys

from medcolor.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["colorize", "--ray", "auto", *sys.argv[1:]]
    main()
