"""What is served to viewers: the right bytes, to this machine alone, and nothing else."""

import http.client
import json
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit

import nibabel as nib
import numpy as np
import pytest
import zarr
from obstore.store import HTTPStore
from zarr.storage import ObjectStore

import medcolor
from medcolor.errors import InputError
from medcolor.export.serving import FileServer
from medcolor.export.view import viewing
from medcolor.progress import Silent
from medcolor.storage import ObjectPath
from medcolor.volume.store import read_affine, read_levels, read_slices


@contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()


@pytest.fixture
def files(tmp_path):
    """A server of a file and of a folder."""
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "zarr.json").write_text("{}")
    (tmp_path / "scan" / "empty").write_bytes(b"")
    (tmp_path / "one.bin").write_bytes(CONTENT)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "scan" / "link").symlink_to(tmp_path)
    served = {"one.bin": tmp_path / "one.bin", "scan": tmp_path / "scan"}
    with FileServer(served) as server, running(server):
        yield server


CONTENT = bytes(range(256)) * 40


def request(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def path_of(server, name):
    return urlsplit(server.address_of(name)).path


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=0-99", slice(0, 100)),
        ("bytes=7-", slice(7, None)),
        ("bytes=-20", slice(-20, None)),
        ("bytes=-99999", slice(0, None)),
        ("bytes=10000-99999", slice(10000, None)),
    ],
)
def test_a_range_is_answered_by_these_bytes(files, header, part):
    status, body, headers = request(files, path_of(files, "one.bin"), Range=header)
    assert (status, body) == (206, CONTENT[part])
    start, stop, _ = part.indices(len(CONTENT))
    assert headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
    assert headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    "header", ["", "bytes=-", "bytes=9-3", "bytes=0-1,5-6", "lines=1-2", "bytes=a-b"]
)
def test_what_is_no_single_range_is_answered_by_all(files, header):
    status, body, _ = request(
        files, path_of(files, "one.bin"), **({"Range": header} if header else {})
    )
    assert (status, body) == (200, CONTENT)


@pytest.mark.parametrize("header", ["bytes=10240-", "bytes=10240-10300", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(files, header):
    status, body, headers = request(files, path_of(files, "one.bin"), Range=header)
    assert (status, body) == (416, b"")
    assert headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_a_head_says_how_long_the_file_is_and_an_empty_file_is_empty(files):
    status, body, headers = request(files, path_of(files, "one.bin"), "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(CONTENT)))
    assert request(files, path_of(files, "scan/empty"))[:2] == (200, b"")


def test_pages_of_other_sites_may_read_and_browsers_keep_nothing(files):
    status, _, headers = request(
        files,
        path_of(files, "scan/zarr.json"),
        "OPTIONS",
        Origin="https://neuroglancer-demo.appspot.com",
        **{"Access-Control-Request-Headers": "range"},
    )
    assert status == 204
    assert headers["Access-Control-Allow-Headers"] == "Range"
    assert headers["Access-Control-Allow-Private-Network"] == "true"
    _, body, headers = request(files, path_of(files, "scan/zarr.json"))
    assert body == b"{}"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "name",
    [
        "scan/../secret.txt", "scan/%2e%2e/secret.txt", "scan/..%2fsecret.txt", "secret.txt",
        "scan", "scan/", "scan/absent", "scan/link/secret.txt", "scan//zarr.json", "scan/%00",
        "one.bin/x", "scan/zarr.json%0d%0aX: y", "../one.bin", "",
    ],
)  # fmt: skip
def test_nothing_else_is_served(files, name):
    status, body, _ = request(files, path_of(files, name).replace(" ", "%20"))
    assert (status, body) == (404, b"")


def test_without_the_secret_nothing_is_served(files):
    for path in ("/one.bin", "/x/one.bin", f"/{files.secret[:-1]}/one.bin", "/", "//one.bin"):
        assert request(files, path)[:2] == (404, b"")
    with FileServer({}) as other:
        assert other.secret != files.secret
        assert len(other.secret) >= 20


def test_it_listens_at_the_loopback_address_alone(files):
    assert files.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_an_error(files):
    with pytest.raises(InputError, match=f"--port {files.server_address[1]}: cannot be listened"):
        FileServer({}, files.server_address[1])


def test_zarr_reads_the_volume_over_the_network_and_nibabel_the_nifti(volume, tmp_path):
    with medcolor.view_volume(volume) as view, running(view.server):
        store = HTTPStore.from_url(view.store, client_options={"allow_http": True})
        for level in read_levels(volume):
            array = zarr.open_array(ObjectStore(store, read_only=True), path=str(level.index))
            expected = read_slices(volume, level.index, range(100))
            np.testing.assert_array_equal(np.moveaxis(array[:], 0, -1), expected)
        path = tmp_path / "read.nii"
        path.write_bytes(request(view.server, urlsplit(view.nifti).path)[1])
    image = nib.load(path)
    stored = np.asarray(image.dataobj)
    found = np.stack([stored[channel] for channel in "RGBA"], axis=-1).transpose(2, 1, 0, 3)
    np.testing.assert_array_equal(found, read_slices(volume, 0, range(100)))
    np.testing.assert_allclose(image.affine, read_affine(volume, 0), atol=1e-4)


def test_niivue_is_given_a_level_that_a_graphics_card_holds(volume, monkeypatch):
    monkeypatch.setattr("medcolor.export.view._LONGEST_SIDE", 10)
    with medcolor.view_volume(volume) as view:
        path = view.server.served["volume.nii"]
        assert nib.load(path).shape == read_levels(volume)[1].shape[::-1]
    assert not path.exists()


def test_links_lead_to_what_is_served_and_name_no_file(volume):
    renamed = volume.rename(volume.with_name("Doe^Jane.ome.zarr"))
    with medcolor.view_volume(renamed) as view:
        base, _, state = view.neuroglancer.partition("#!")
        shown = json.loads(unquote(state))
        niivue = urlsplit(view.niivue)
        words = unquote(view.neuroglancer + view.niivue)
    assert base == "https://neuroglancer-demo.appspot.com/"
    (layer,) = shown["layers"]
    assert layer["source"]["url"] == f"zarr://{view.store}/"
    assert shown["dimensions"]["z"] == [0.002, "m"]
    assert [*layer["source"]["transform"]["outputDimensions"]] == ["c^", "z", "y", "x"]
    assert shown["position"] == [7.5, 6.5, 5.0]
    assert parse_qs(niivue.query) == {"images": [view.nifti]}
    assert "Doe" not in words


def test_a_volume_in_a_bucket_or_unfinished_is_refused(volume):
    in_bucket = viewing(ObjectPath.parse("s3://bucket/v.ome.zarr"), Silent())
    with pytest.raises(InputError, match="is not on this machine"):
        in_bucket.__enter__()
    run = volume.with_name("scan.ome.zarr.run")
    run.mkdir()
    (run / "plan.json").write_text("{}")
    with pytest.raises(InputError, match="not come to its end"):
        medcolor.view_volume(volume)


def test_the_command_prints_links_and_serves_until_it_is_interrupted(volume):
    command = [sys.executable, "-m", "medcolor", "view", str(volume)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = {}
        for line in process.stdout:
            if line.startswith("Served"):
                break
            name, address = line.split()
            lines[name] = address
        assert lines.keys() == {"Neuroglancer", "NiiVue", "OME-Zarr", "NIfTI"}
        port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/.*", lines["OME-Zarr"])[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", urlsplit(lines["OME-Zarr"]).path + "/zarr.json")
        assert json.loads(connection.getresponse().read())["node_type"] == "group"
        connection.close()
        process.send_signal(2)
        assert process.wait(30) == 0
