"""Say how many slices a second a GPU node, or many, would colour, and what binds: by simulation.

    python jobs/simulate_node.py --gpus 8 --gpus-a-node 8 --gpu-share 0.25 --bucket-gb-s 1
    python jobs/simulate_node.py --page > docs/throughput.md

Costs of stages (`node_model.py: Costs`) go through the placement of slabs and the queues of workers
as they are in the product; time is virtual, so that 64 GPUs take a second. Needs no GPU.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Iterable
from dataclasses import replace
from inspect import getsource

from node_model import Costs, Run, Site

GPUS = (1, 2, 4, 8, 16, 32, 64)
SHARES = (1.0, 0.5, 0.25, 0.125)
BUCKETS_GB_S = (1.0, 10.0)


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table in Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def passes_of(run: Run) -> str:
    """Return what each pass of a run takes."""
    slices = run.site.slices
    rows = [
        (
            one.name,
            f"{one.seconds:.1f}",
            f"{slices / one.seconds:.0f}" if one.busy else "",
            *(f"{share:.0%}" if one.busy else "" for share in _shares(one.busy)),
            one.bound,
        )
        for one in run.passes
    ]
    total = "**whole run**", f"{run.seconds:.1f}", f"**{run.slices_a_second:.0f}**", *[""] * 5
    head = "pass", "s", "slices/s", "GPU", "cores", "Python's lock", "bucket", "bound by"
    return table(head, [*rows, total])


def _shares(busy: dict[str, float]) -> list[float]:
    return [busy.get(name, 0.0) for name in ("GPU", "cores", "lock", "bucket")]


def _main_bound(run: Run) -> str:
    """Return the longest pass, and what binds it."""
    longest = max(run.passes, key=lambda one: one.seconds)
    return f"{longest.name}: {longest.bound}"


def scaling() -> str:
    """Return slices a second of one body on more and more GPUs."""
    rows = []
    for gpus in GPUS:
        site = Site(gpus=gpus, gpus_a_node=8, gpu_share=0.25)
        runs = [Run(site, Costs())]
        runs += [Run(replace(site, bucket_bytes_s=1e9 * one), Costs()) for one in BUCKETS_GB_S]
        found = [cell for run in runs for cell in (f"{run.slices_a_second:.0f}", _main_bound(run))]
        rows.append((gpus, *found))
    head = ["GPUs", "beside the data", "longest"]
    head += [word for one in BUCKETS_GB_S for word in (f"{one:g} GB/s", "longest")]
    return table(head, rows)


def shares() -> str:
    """Return what several workers on one GPU are worth."""
    rows = []
    for share in SHARES:
        run = Run(Site(gpu_share=share), Costs())
        seconds = {one.name: one.seconds for one in run.passes}
        rates = [f"{run.site.slices / seconds[name]:.0f}" for name in ("match", "count", "color")]
        rows.append((f"{share:g}", round(1 / share), *rates, f"{run.slices_a_second:.0f}"))
    return table(("compute.gpu_share", "workers", "match", "count", "color", "whole run"), rows)


def cohort() -> str:
    """Return bodies an hour where each worker makes whole ones, and when a bucket binds."""
    costs, site, rows = replace(Costs(), ready_s=0.0), Site(), []
    moved = costs.scan_bytes + 2 * costs.votes_bytes + 2 * costs.rgba_bytes
    moved += site.photographs_a_slice * costs.photograph_bytes
    for share in SHARES[:3]:
        alone = Run(replace(site, cores_a_gpu=int(16 * share)), costs)
        gpu_s = sum(one.seconds * one.busy.get("GPU", 0.0) for one in alone.passes)
        bodies_s = min(1 / share / alone.seconds, 1 / gpu_s)
        rate = site.slices * bodies_s
        limits = [f"{1e9 * one / (moved * rate):.0f}" for one in BUCKETS_GB_S]
        rows.append((f"{share:g}", f"{3600 * bodies_s:.0f}", f"{rate:.0f}", *limits))
    head = ["compute.gpu_share", "bodies an hour a GPU", "slices/s a GPU"]
    head += [f"GPUs that fill {one:g} GB/s" for one in BUCKETS_GB_S]
    total = moved * site.slices / 1e9
    return table(head, rows) + f"\n\nA body moves {total:.0f} GB, of which votes are most."


def changes() -> str:
    """Return what one change would be worth on one GPU."""
    costs, site = Costs(), Site(gpu_share=0.25)
    halved = {name: getattr(costs, name) / 2 for name in _GPU_STAGES}
    tried = {
        "as it is": (site, costs),
        "no slice of the next slab read ahead": (replace(site, reads_ahead=False), costs),
        "slabs without a gap between them": (
            replace(site, slab_slices=-(-site.slices // 4)),
            costs,
        ),
        "half as much under Python's lock": (site, replace(costs, lock_share=costs.lock_share / 2)),
        "twice as much under Python's lock": (
            site,
            replace(costs, lock_share=costs.lock_share * 2),
        ),
        "reading (body masks) in 10 ms": (site, replace(costs, reading_s=0.010)),
        "all stages of the GPU in half the time": (site, replace(costs, **halved)),
        "32 cores": (replace(site, cores_a_gpu=32), costs),
        "photographs 1 mm apart": (replace(site, photographs_a_slice=1.0), costs),
    }
    rows = []
    for name, (where, what) in tried.items():
        run = Run(where, what)
        match = next(one for one in run.passes if one.name == "match")
        rate = f"{where.slices / match.seconds:.0f}"
        rows.append((name, rate, match.bound, f"{run.slices_a_second:.0f}"))
    return table(("changed", "match, slices/s", "bound by", "whole run"), rows)


_GPU_STAGES = ("features_s", "matching_s", "voting_s", "counting_s", "painting_s", "fc6_s")


def costs_of() -> str:
    """Return the table of costs, with where each is from, as `Costs` documents them."""
    said = re.findall(r"    (\w+): float = .*\n    \"\"\"([^\"]*)\"\"\"", getsource(Costs))
    rows = [
        (name, _spoken(name, getattr(Costs(), name)), " ".join(text.split())) for name, text in said
    ]
    assert len(rows) == len(dataclasses.fields(Costs))
    return table(("of a slice, if not stated", "taken", "from"), rows)


def _spoken(name: str, value: float) -> str:
    if name.endswith("_bytes"):
        return f"{value / 1e6:g} MB"
    if name.endswith("_share"):
        return f"{value:g}"
    return f"{1000 * value:g} ms" if value < 1 else f"{value:g} s"


def page() -> str:
    """Return docs/throughput.md."""
    costs, site = Costs(), Site()
    alone_s = costs.ready_s + 2 * costs.fit_s
    return f"""# What a GPU node colours in a second

Written by `jobs/simulate_node.py`; `tests/test_simulation.py` compares the two.

**This is a simulation, not a measurement.** Costs of stages, some measured on an H100, some on CPU
cores, some assumed (last table), go through the product's own placement of slabs and a model of its
workers' queues, in virtual time. The body has {site.slices} slices of 512 x 512 at 1 mm, three
photographs a slice, photographs 5 mm apart, the embedded network at 448 px, slabs of
{site.slab_slices} slices, 16 cores a GPU. Left out: opening the scan and its statistics, choosing
photographs, indexing them, the network between nodes, and everything that goes wrong.

`bound by` names what was busy for at least 85 % of a pass. `waits` says that nothing was, and what
was busiest: work waits for other work, at the end of every slab most of all. *Python's lock* is
what only one thread of a process does at a time.

## One H100, one worker

{passes_of(Run(site, costs))}

## Several workers on it

Each has a lock of its own, its share of the cores, and its share of the GPU's memory.

{shares()}

## One body on more GPUs

Eight GPUs a node, `compute.gpu_share=0.25`; slices a second of the whole run, and its longest part.
What is left on many GPUs is what one thread does: getting ready and two fits take {alone_s:.0f} s,
so no number of GPUs makes more than {site.slices / alone_s:.0f} slices/s of one body. A bucket is
read and written by all nodes together; votes of slices are in it between the passes, if the volume
is.

{scaling()}

## Many bodies

A cohort gives whole bodies to workers, which share the GPU and the bucket, and nothing else.

{cohort()}

## What would be worth doing

One H100, `compute.gpu_share=0.25`, one thing changed at a time.

{changes()}

## Costs

{costs_of()}
"""


def main() -> None:
    """Simulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--page", action="store_true", help="print docs/throughput.md")
    parser.add_argument(
        "--bucket-gb-s", type=float, help="of all nodes together; by default no limit"
    )
    parser.add_argument("--lock-share", type=float, default=Costs().lock_share)
    for name in (
        "gpus",
        "gpus_a_node",
        "cores_a_gpu",
        "gpu_share",
        "slices",
        "slab_slices",
        "pairs",
    ):
        default = getattr(Site(), name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    given = vars(parser.parse_args())
    if given.pop("page"):
        print(page(), end="")
        return
    bucket, lock_share = given.pop("bucket_gb_s"), given.pop("lock_share")
    site = Site(**given, bucket_bytes_s=1e9 * bucket if bucket else float("inf"))
    if not (0 < site.gpu_share <= 1 and 0 <= lock_share <= 1):
        parser.error("--gpu-share must be in (0, 1], --lock-share in [0, 1]")
    if (
        min(
            site.gpus, site.gpus_a_node, site.cores_a_gpu, site.slices, site.slab_slices, site.pairs
        )
        < 1
    ):
        parser.error("all counts must be at least 1")
    if bucket is not None and bucket <= 0:
        parser.error("--bucket-gb-s must be > 0")
    print(passes_of(Run(site, replace(Costs(), lock_share=lock_share))))


if __name__ == "__main__":
    main()
