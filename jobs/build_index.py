r"""Describe photographs once, on the Ray cluster this job was submitted to.

    ray job submit --working-dir . -- \
        python jobs/build_index.py /data/cryosections /data/cryosections.index

Paths are those of the cluster's nodes, and absolute: the job runs in a copy of the
submitted folder. Exit status as `medcolor index build`.
"""

from __future__ import annotations

import sys

from medcolor.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["index", "build", "--ray", "auto", *sys.argv[1:]]
    main()
