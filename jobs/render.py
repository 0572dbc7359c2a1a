r"""Draw a coloured volume, or a cohort of them, on the Ray cluster this job was submitted to.

    ray job submit --working-dir . -- \
        python jobs/render.py s3://results/cohort s3://results/pictures

Sets that show the same volume in the same way are kept. Paths are those of the cluster's nodes, and
absolute: the job runs in a copy of the submitted folder. Exit status as `medcolor render`.
"""

from __future__ import annotations

import sys

from medcolor.cli import main

if __name__ == "__main__":
    sys.argv[1:] = ["render", "--ray", "auto", *sys.argv[1:]]
    main()
