"""Train the embedded network from scratch on synthetic anatomy and write its model card.

Run from the project's root:

    .venv/bin/python jobs/train_features.py --output medcolor/features/weights

About an hour and a quarter on two CPU cores. The same seed, thread count and machine type
give the same weights; progress is one JSON line every hundred steps.
"""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from medcolor.features.descriptor import DescriptorSettings
from medcolor.features.network import NetworkSpec
from medcolor.features.store import load_network, save_network
from medcolor.features.training import TrainingSettings, train

_ABOUT = {
    "data": "synthetic label maps and renderings of them (medcolor/features/synthetic/), made"
    " while training; no picture of a person",
    "use": "correspondence between CT, MRI and photographs of cross-sections in medcolor",
    "limits": "relu1_1 is a fixed bank of derivatives; fc6 alone often picks another level of the"
    " body (the assignment along the stack makes up for it); never run on a GPU",
    "licence": "MIT",
}


def main(
    output: Annotated[Path, typer.Option(help="Folder for the weights and their card.")],
    seed: Annotated[int, typer.Option()] = TrainingSettings.seed,
    dense_steps: Annotated[int, typer.Option()] = TrainingSettings.dense_steps,
    descriptor_batches: Annotated[int, typer.Option()] = DescriptorSettings.batches,
    width: Annotated[float, typer.Option(help="Channels relative to VGG-19.")] = 0.25,
    threads: Annotated[int, typer.Option(help="CPU threads; a second gains a fifth.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that draw batches ahead.")] = 0,
) -> None:
    """Train, write `embedded.safetensors` and `embedded.json`."""
    torch.set_num_threads(threads)
    spec = NetworkSpec(
        name="medcolor-embedded-3",
        width=width,
        descriptor_size=1280,
        descriptor_taps=("relu3_1", "relu4_1"),
        descriptor_grid=5,
        input_scale=1.0,
        padding_mode="replicate",
    )
    settings = TrainingSettings(
        seed=seed,
        dense_steps=dense_steps,
        descriptor=DescriptorSettings(batches=descriptor_batches),
    )
    history: list[dict[str, float]] = []
    start = time.monotonic()

    def report(figures: dict[str, float]) -> None:
        figures["time_s"] = round(time.monotonic() - start, 1)
        history.append({key: round(value, 4) for key, value in figures.items()})
        print(json.dumps(history[-1]), flush=True)

    network = train(spec, settings, report, torch.device(device), workers)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "embedded.safetensors"
    notes = {"training": json.dumps(dataclasses.asdict(settings)), "torch": torch.__version__}
    save_network(network, path, notes)
    card = {
        **_ABOUT,
        "spec": dataclasses.asdict(spec),
        "training": dataclasses.asdict(settings),
        "threads": threads,
        "torch": torch.__version__,
        "minutes": round((time.monotonic() - start) / 60, 1),
        "sha256": load_network(path).digest,
        "bytes": path.stat().st_size,
        "history": history[:: max(1, len(history) // 20)] + history[-1:],
    }
    (output / "embedded.json").write_text(json.dumps(card, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
