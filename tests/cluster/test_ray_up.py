"""The files for `ray up`, held to Ray's own schema, defaults and command line."""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path

import jsonschema
import pytest
import ray
from manifests import CLUSTER, documents
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start

from medcolor.run.nodes import LABEL, VALUES

FILES = sorted(path.name for path in (CLUSTER / "ray-up").glob("*.yaml"))
SCHEMA = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())


def settings(name):
    (document,) = documents(CLUSTER / "ray-up" / name)
    return document


@pytest.mark.parametrize("name", FILES)
def test_a_file_fits_rays_schema_as_it_is_and_with_rays_defaults(name):
    jsonschema.validate(settings(name), SCHEMA)
    validate_config(prepare_config(settings(name)))


@pytest.mark.parametrize("name", FILES)
def test_a_misspelt_key_is_refused(name):
    spoilt = copy.deepcopy(settings(name))
    spoilt["file_mount"] = spoilt.pop("file_mounts")
    with pytest.raises(jsonschema.ValidationError, match="file_mount"):
        jsonschema.validate(spoilt, SCHEMA)


@pytest.mark.parametrize("name", FILES)
def test_ray_takes_every_option_of_the_start_commands(name):
    for key in ("head_start_ray_commands", "worker_start_ray_commands"):
        stop, command = settings(name)[key]
        assert stop == "ray stop"
        ray_word, start_word, *options = shlex.split(command)
        assert (ray_word, start_word) == ("ray", "start")
        taken = start.make_context("start", options).params
        assert taken["head"] == (key == "head_start_ray_commands")
        assert taken["dashboard_host"] in (
            "127.0.0.1",
            start.make_context("s", []).params["dashboard_host"],
        )


@pytest.mark.parametrize("name", FILES)
def test_all_nodes_have_the_token_and_the_shared_cache(name):
    options = settings(name)["docker"]["run_options"]
    assert "--env=RAY_AUTH_MODE=token" in options
    assert "--env=MEDCOLOR_CACHE=/shared/cache" in options
    assert "--volume=/shared:/shared" in options
    assert list(settings(name)["file_mounts"].values()) == ["~/.ray/auth_token"]


def test_workers_on_aws_come_from_zero_and_hold_no_key():
    types = settings("aws.yaml")["available_node_types"]
    head = types.pop("head")
    assert head["resources"] == {"CPU": 0}
    labels = {name: kind.get("labels") for name, kind in types.items()}
    assert labels == {"gpu": {LABEL: "color-render"}, "cpu": None}
    assert labels["gpu"][LABEL] in VALUES
    for kind in types.values():
        assert kind["min_workers"] == 0 < kind["max_workers"]
        assert "IamInstanceProfile" in kind["node_config"]
    assert (
        sum(kind["max_workers"] for kind in types.values()) == settings("aws.yaml")["max_workers"]
    )
