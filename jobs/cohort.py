r"""Colour the volumes of a manifest, on the Ray cluster this job was submitted to.

    ray job submit --working-dir . -- \
        python jobs/cohort.py /data/cohort.yaml /data/cryosections /data/coloured

What is done is skipped, so that a nightly run costs what came in since the last one.
Paths are those of the cluster's nodes, and absolute: the job runs in a copy of the
submitted folder. Exit status as `medcolor cohort`.
"""

from __future__ import annotations

import sys

from medcolor.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["cohort", "--ray", "auto", *sys.argv[1:]]
    main()
