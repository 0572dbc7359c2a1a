"""What every node must see and have, looked at before it is paid for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from importlib.metadata import version

from medcolor.errors import InputError
from medcolor.retrieval.index import read_index
from medcolor.run.index_copies import is_index_place, local_index
from medcolor.run.ledger import PLAN
from medcolor.run.look import Look
from medcolor.run.plan import Plan, digest_network
from medcolor.run.tasks import Runner
from medcolor.storage import Place
from medcolor.volume.files import sizes_of_input


def check_inputs_on_every_node(look: Look, references: Place, runner: Runner) -> None:
    """Look from every node that colours at scan, photographs and weights.

    Raises:
        InputError: Naming the node and the path.
    """
    sizes = sizes_of_input(look.plan.target)
    runner.on_every_node(InputCheck(look.plan, references, sizes, version("medcolor")), "color")


def check_output_on_every_node(plan: Plan, runner: Runner) -> None:
    """See from every node that writes voxels what the driver has written, and write beside it.

    Raises:
        InputError: Naming the node and the path.
    """
    runner.on_every_node(OutputCheck(plan), "color", "light")


@dataclass(frozen=True)
class InputCheck:
    """What one node looks at."""

    plan: Plan
    references: Place
    sizes: str
    """Of the scan's files as the driver sees them."""

    version: str
    """Of the driver's medcolor."""

    def __call__(self) -> None:
        """Look."""
        remedy = "Give a place that every node reaches"
        own = version("medcolor")
        if own != self.version:
            raise InputError(
                "medcolor",
                f"{own}, the driver has {self.version}",
                "Install one of them everywhere",
            )
        for what, place in (("scan", self.plan.target), ("photographs", self.references)):
            if not place.exists():
                raise InputError(place, f"no such {what} here", remedy)
        if sizes_of_input(self.plan.target) != self.sizes:
            raise InputError(self.plan.target, "another scan than the driver sees", remedy)
        if is_index_place(self.references):
            first = read_index(local_index(self.references)).records[0].path
            if not first.is_file():
                raise InputError(first, "no such photograph here, but in the index", remedy)
        digest = digest_network(self.plan.settings)
        if digest != self.plan.network_digest:
            raise InputError(
                self.plan.settings.features.network,
                f"weights {digest[:12]}, the driver's are {self.plan.network_digest[:12]}",
                "Install the same network on every node",
            )


@dataclass(frozen=True)
class OutputCheck:
    """What one node writes; the ledger has been begun by the driver."""

    plan: Plan

    def __call__(self) -> None:
        """See and write."""
        folder = self.plan.ledger.folder
        remedy = "Give an output that every node reaches and may write to"
        if not (folder / PLAN).is_file():
            raise InputError(self.plan.output, "what the driver wrote is not seen here", remedy)
        probe = folder / f".probe-{uuid.uuid4().hex}"
        try:
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise InputError(
                self.plan.output, f"cannot be written to ({error.strerror})", remedy
            ) from error
