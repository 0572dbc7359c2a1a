"""This matching against the best-known PyTorch port of Deep Image Analogy, on one pair.

    python jobs/bench_peer.py --peer CHECKOUT

CHECKOUT is a clone of Ben-Louis/Deep-Image-Analogy-PyTorch, which is run as it is, on its CPU
path (some minutes). Both sides get the same full-width stand-in weights (random: speed and
energies do not ask for trained ones), the same grey pair and the same number of threads.
Start-up (loading, first compilation) is left out on both sides. The fields of every level
are scored by one function: the mean negative cosine of the fixed features, before their ReLU
as the port has them, over the official patch of the level.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from bench import median_seconds

from medcolor.body import resize
from medcolor.features.extract import FeaturePyramid, extract_pyramid
from medcolor.features.network import LEVEL_NAMES, GrayVGG19, NetworkSpec, channels_last
from medcolor.features.published import VGG19, fold_normalisation
from medcolor.matching.coarse_to_fine import match_coarse_to_fine
from medcolor.matching.field import NearestNeighborField
from medcolor.matching.search import similarity_at
from medcolor.matching.settings import MatchingSettings
from medcolor.phantom import make_phantom, render_cryosection

_PATCH_PX = (3, 3, 3, 5, 5)
_MEAN_BGR = (103.939, 116.779, 123.68)

_TORCHVISION = """
import torch.nn as nn
class _Network(nn.Module):
    def __init__(self):
        super().__init__()
        layers, previous = [], 3
        for count in (64, 64, 0, 128, 128, 0, *[256] * 4, 0, *[512] * 4, 0, *[512] * 4, 0):
            if count:
                layers += [nn.Conv2d(previous, count, 3, padding=1), nn.ReLU()]
                previous = count
            else:
                layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
def vgg19(pretrained=False):
    return _Network()
"""

_RUN = """
import sys, time, types
import numpy as np, torch
torch.set_num_threads(int(sys.argv[2]))
sys.path.insert(0, sys.argv[1])
import DeepAnalogy, VGG19
torch.manual_seed(1)
torch.save(VGG19.InvertVgg().state_dict(), "invert_vgg.ckpt")
begin, fields, search = [], [], DeepAnalogy.propagate_func["cpu"]
def recorded(*arguments):
    begin.append(time.perf_counter())
    found = search(*arguments)
    fields.append(np.array(found[0]))
    return found
DeepAnalogy.propagate_func = {"cpu": recorded}
config = types.SimpleNamespace(
    use_cuda=False, blend_weights=[0, 0.1, 0.6, 0.7, 0.8, 1.0], pm_iter=10,
    pm_sizes=[3, 5, 5, 3, 3, 3], pm_range=[2, 4, 4, 6, 6, 32],
    deconv_lr=[0, 0, 5e-5, 5e-3, 5e-3, 1e-1])
pair = np.load("pair.npy")
DeepAnalogy.analogy(*[np.repeat(grey[..., None], 3, 2) for grey in pair], config)
seconds = time.perf_counter() - begin[0]
fields = {f"level{5 - n // 2}_{n % 2}": field for n, field in enumerate(fields)}
np.savez("found.npz", seconds=seconds, **fields)
"""


def grey_pair(size: int) -> np.ndarray:
    """Return two slices of two phantom persons, 0..255, whole numbers."""
    pair = []
    for seed in (1, 2):
        frames = render_cryosection(make_phantom(seed, region="head", spacing_mm=2.0))
        pair.append(resize(frames[len(frames) // 2].mean(-1), (size, size)))
    return np.rint(pair).astype(np.float32)


def stand_in_weights() -> dict[str, torch.Tensor]:
    """Return He-initialised convolutions in torchvision's layout; biases are zero."""
    source, shapes = torch.Generator().manual_seed(0), VGG19.shapes()
    weights = {}
    for key in VGG19.keys().values():
        shape = shapes[f"{key}.weight"]
        weights[f"{key}.weight"] = (
            torch.randn(shape, generator=source) * (2 / (9 * shape[1])) ** 0.5
        )
        weights[f"{key}.bias"] = torch.zeros(shape[0])
    return weights


def same_network(weights: dict[str, torch.Tensor]) -> GrayVGG19:
    """Fold three equal channels less their means into luminance and a plane of ones."""
    spec = NetworkSpec(name="stand-in", descriptor_size=8, presence=True, ceil_pools=False)
    network = GrayVGG19(spec)
    for name, key in VGG19.keys().items():
        weight = weights[f"{key}.weight"]
        if name == "conv1_1":
            weight = fold_normalisation(weight, _MEAN_BGR, (1.0, 1.0, 1.0))
        network.get_parameter(f"{name}.weight").data.copy_(weight)
    network.rectified = False
    return channels_last(network.requires_grad_(False))


def run_peer(checkout: Path, pair: np.ndarray, threads: int) -> dict[str, np.ndarray]:
    """Run the port in a process of its own; returns its seconds and its fields (col, row)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "torchvision").mkdir()
        (folder / "torchvision" / "__init__.py").touch()
        (folder / "torchvision" / "models.py").write_text(_TORCHVISION)
        cache = folder / "torch" / "hub" / "checkpoints"
        cache.mkdir(parents=True)
        torch.save(stand_in_weights(), cache / "vgg19-d01eb7cb.pth")
        np.save(folder / "pair.npy", pair)
        (folder / "run.py").write_text(_RUN)
        environment = os.environ | {"TORCH_HOME": str(folder / "torch"), "PYTHONPATH": name}
        command = [sys.executable, "run.py", str(checkout.resolve()), str(threads)]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        with np.load(folder / "found.npz") as found:
            return dict(found)


def main(
    peer: Annotated[Path, typer.Option(help="A clone of the port.", exists=True)],
    size: Annotated[int, typer.Option(help="Side of the pair, a multiple of 16.")] = 96,
    threads: Annotated[int, typer.Option(help="Of both sides.")] = 2,
) -> None:
    """Print seconds and energies of both."""
    torch.set_num_threads(threads)
    pair = grey_pair(size)
    network, whole = same_network(stand_in_weights()), np.ones((size, size), bool)
    settings = MatchingSettings(
        finest_level="relu1_1", patch_px=_PATCH_PX, position_prior=0, leave_cost=0, tone_weight=0
    )
    found: dict[int, list[torch.Tensor]] = {}

    def watch(index: int, *fields: NearestNeighborField) -> None:
        found[index] = [field.position for field in fields]

    def extract() -> list[FeaturePyramid]:
        return [extract_pyramid(network, grey / 255, whole) for grey in pair]

    def match() -> None:
        one, other = extract()
        match_coarse_to_fine(one, other, settings, watch=watch)

    seconds, features = median_seconds(match), median_seconds(extract)
    theirs = run_peer(peer, pair, threads)
    both = extract()
    rows = {}
    for index in range(4, -1, -1):
        own, other = (pyramid.levels[index] for pyramid in both)
        energies = []
        for side, (one, two) in enumerate(((own, other), (other, own))):
            port = torch.from_numpy(theirs[f"level{index + 1}_{side}"].astype(np.int64))
            port = port.permute(2, 0, 1).flip(0)[None]
            limits = torch.tensor(two.shape[2:])[:, None, None] - 1
            port = torch.minimum(port.clamp(min=0), limits)
            patch = _PATCH_PX[4 - index]
            fields = found[index][side], port
            energies.append([-float(similarity_at(one, two, f, patch).mean()) for f in fields])
        rows[LEVEL_NAMES[index]] = energies
    print(f"{'':10}{'medcolor':>12}{'port':>12}   mean negative cosine, there and back")
    for name, energies in rows.items():
        print(
            f"{name:10}"
            + "".join(f"{energy:12.4f}" for direction in energies for energy in direction)
        )
    peer_seconds = float(theirs["seconds"])
    print(f"seconds   {seconds:12.4f}{peer_seconds:12.1f}   {peer_seconds / seconds:.0f} times")
    searching = seconds - features
    print(
        f"without features, which the port's clock leaves out: {searching:.4f} s, "
        f"{peer_seconds / searching:.0f} times"
    )
    print(json.dumps({"size": size, "threads": threads, "seconds": round(seconds, 4),
                      "peer_seconds": round(peer_seconds, 1)}))  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
