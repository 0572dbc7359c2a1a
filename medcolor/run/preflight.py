"""What every node must see and have, looked at before it is paid for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from importlib.metadata import version

from medcolor.errors import InputError
from medcolor.run.plan import Plan, digest_network
from medcolor.run.tasks import Runner
from medcolor.storage import Place


def check_every_node(plan: Plan, references: Place, runner: Runner) -> None:
    """Look from every node at scan, photographs, output and weights.

    Raises:
        InputError: Naming the node and the path.
    """
    runner.on_every_node(NodeCheck(plan, references, version("medcolor")))


@dataclass(frozen=True)
class NodeCheck:
    """What one node looks at; the ledger has been begun by the driver."""

    plan: Plan
    references: Place
    version: str
    """Of the driver's medcolor."""

    def __call__(self) -> None:
        """Look."""
        own = version("medcolor")
        if own != self.version:
            raise InputError(
                "medcolor",
                f"{own}, the driver has {self.version}",
                "Install one version everywhere",
            )
        for what, place in (("scan", self.plan.target), ("photographs", self.references)):
            if not place.exists():
                raise InputError(
                    place, f"no such {what} here", "Give a place that every node reaches"
                )
        digest = digest_network(self.plan.settings)
        if digest != self.plan.network_digest:
            raise InputError(
                self.plan.settings.features.network,
                f"weights {digest[:12]}, the driver's are {self.plan.network_digest[:12]}",
                "Install the same network on every node",
            )
        self._write()

    def _write(self) -> None:
        """See what the driver has written, and write beside it."""
        folder = self.plan.ledger.folder
        remedy = "Give an output that every node reaches and may write to"
        if not (folder / "plan.json").is_file():
            raise InputError(self.plan.output, "what the driver wrote is not seen here", remedy)
        probe = folder / f".probe-{uuid.uuid4().hex}"
        try:
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise InputError(
                self.plan.output, f"cannot be written to ({error.strerror})", remedy
            ) from error
