import pytest
import torch

from medcolor.errors import InputError
from medcolor.features.network import GrayVGG19, NetworkSpec
from medcolor.features.store import load_network, save_network

SPEC = NetworkSpec(name="tiny", width=0.0625, descriptor_size=8, padding_mode="replicate")


def test_a_network_is_loaded_as_saved_up_to_half_precision(tmp_path):
    network = GrayVGG19(SPEC)
    save_network(network, tmp_path / "n.safetensors", {})
    loaded = load_network(tmp_path / "n.safetensors")
    assert loaded.spec == SPEC
    for name, tensor in network.state_dict().items():
        found = loaded.module.state_dict()[name]
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, tensor.half().float())


def test_the_digest_names_the_weights(tmp_path):
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        save_network(GrayVGG19(SPEC), tmp_path / f"{seed}.safetensors", {})
    digests = [load_network(tmp_path / f"{seed}.safetensors").digest for seed in (0, 1)]
    assert digests[0] != digests[1]


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x80\x04pickle"])
def test_anything_else_is_refused_and_never_unpickled(tmp_path, content):
    path = tmp_path / "n.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no network file"):
        load_network(path)


def test_weights_of_another_shape_are_refused(tmp_path):
    path = tmp_path / "n.safetensors"
    network = GrayVGG19(SPEC)
    network.spec = NetworkSpec(name="lie", width=0.125, descriptor_size=8)
    save_network(network, path, {})
    with pytest.raises(InputError, match="no network file"):
        load_network(path)
