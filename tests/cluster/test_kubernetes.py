"""The Kubernetes objects, held to KubeRay's published schemas and to what they promise."""

from __future__ import annotations

import copy
import re

import pytest
import yaml
from manifests import CLUSTER, ROOT, documents, manifest, problems

from medcolor.run.nodes import KINDS, LABEL, VALUES, Node

FILES = sorted(path.name for path in (CLUSTER / "kuberay").glob("*.yaml"))


def objects():
    return [one for name in FILES for one in documents(CLUSTER / "kuberay" / name)]


def containers(node):
    """Find every container of an object, wherever its pod template lies."""
    if isinstance(node, dict):
        yield from node.get("containers", [])
        for part in node.values():
            yield from containers(part)
    elif isinstance(node, list):
        for part in node:
            yield from containers(part)


def pods(node):
    """Find every pod spec of an object."""
    if isinstance(node, dict):
        if "containers" in node:
            yield node
        for part in node.values():
            yield from pods(part)
    elif isinstance(node, list):
        for part in node:
            yield from pods(part)


@pytest.mark.parametrize("name", FILES)
def test_every_object_fits_its_schema(name):
    for document in documents(CLUSTER / "kuberay" / name):
        assert problems(document) == []


def misspell(path, new):
    def change(document):
        *way, old = path
        node = document
        for step in way:
            node = node[step]
        node[new] = node.pop(old)

    return change


def repeat_variable(document):
    container = document["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    container["env"].append({"name": "MEDCOLOR_CACHE", "value": "/elsewhere"})


def set_field(path, value):
    def change(document):
        *way, last = path
        node = document
        for step in way:
            node = node[step]
        node[last] = value

    return change


POD = ("spec", "headGroupSpec", "template", "spec")


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("raycluster.yaml", misspell(("spec", "authOptions"), "authOption"), "authOption"),
        ("raycluster.yaml", misspell(("metadata", "labels"), "lables"), "lables"),
        ("raycluster.yaml", misspell((*POD, "volumes"), "volume"), "'volume'"),
        ("raycluster.yaml", set_field(("spec", "authOptions", "mode"), "tokens"), "tokens"),
        ("raycluster.yaml", set_field(("spec", "workerGroupSpecs", 0, "minReplicas"), "0"), "'0'"),
        ("raycluster.yaml", repeat_variable, "MEDCOLOR_CACHE"),
        ("rayjob.yaml", misspell(("spec", "entrypoint"), "entryPoint"), "entryPoint"),
        ("rayjob.yaml", set_field(("spec", "managedBy"), "us"), "not checked"),
        ("nightly.yaml", misspell(("spec", "concurrencyPolicy"), "concurrency"), "'concurrency'"),
        ("nightly.yaml", set_field(("spec", "concurrencyPolicy"), "Never"), "Never"),
        (
            "shared-volume.yaml",
            set_field(("spec", "accessModes"), ["ReadWriteAll"]),
            "ReadWriteAll",
        ),
    ],
)
def test_what_the_api_would_drop_or_refuse_is_refused(name, change, told):
    document = copy.deepcopy(manifest(name))
    change(document)
    assert any(told in problem for problem in problems(document)), problems(document)


def test_a_misspelt_rule_of_a_network_policy_is_refused():
    policy = copy.deepcopy(documents(CLUSTER / "kuberay" / "network-policy.yaml")[0])
    policy["spec"]["egress"][0]["too"] = policy["spec"]["egress"][0].pop("to")
    assert any("'too'" in problem for problem in problems(policy))


def test_a_key_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "twice.yaml").write_text("spec:\n  mode: token\n  mode: disabled\n")
    with pytest.raises(yaml.constructor.ConstructorError, match="twice"):
        documents(tmp_path / "twice.yaml")


def test_a_run_gets_the_cluster_that_stands_in_the_other_file():
    cluster = manifest("raycluster.yaml")["spec"]
    assert manifest("rayjob.yaml")["spec"]["rayClusterSpec"] == cluster


def test_workers_come_from_zero_and_go():
    spec = manifest("raycluster.yaml")["spec"]
    assert spec["enableInTreeAutoscaling"]
    assert spec["autoscalerOptions"]["version"] == "v2"
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in spec["workerGroupSpecs"]:
        assert group["minReplicas"] == group["replicas"] == 0 < group["maxReplicas"]
    assert manifest("rayjob.yaml")["spec"]["shutdownAfterJobFinishes"]


def test_the_gpu_group_alone_asks_for_gpus_and_enters_their_nodes():
    gpu, cpu = manifest("raycluster.yaml")["spec"]["workerGroupSpecs"]
    (container,) = gpu["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert gpu["template"]["spec"]["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert "nvidia" not in str(cpu)
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert "graphics" in variables["NVIDIA_DRIVER_CAPABILITIES"].split(",")


def test_light_work_keeps_off_nodes_with_gpus():
    gpu, cpu = manifest("raycluster.yaml")["spec"]["workerGroupSpecs"]
    label = gpu["labels"][LABEL]
    assert label in VALUES
    assert [work for work in KINDS if Node("", 8, 1, label).does(work)] == ["color", "render"]
    assert "labels" not in cpu, "it does all work of runs on CPUs"


def test_nodes_share_the_cache_and_have_memory_for_their_object_store():
    spec = manifest("raycluster.yaml")["spec"]
    for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        variables = {one["name"]: one["value"] for one in container["env"]}
        mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        volumes = {one["name"]: one for one in pod["volumes"]}
        shared = next(name for path, name in mounts.items() if path == "/shared")
        assert variables["MEDCOLOR_CACHE"].startswith("/shared/")
        claim = volumes[shared]["persistentVolumeClaim"]["claimName"]
        assert claim == manifest("shared-volume.yaml")["metadata"]["name"]
        memory = volumes[mounts["/dev/shm"]]["emptyDir"]
        assert memory["medium"] == "Memory"
        size = int(memory["sizeLimit"].removesuffix("Gi")) * 2**30
        assert int(group["rayStartParams"]["object-store-memory"]) < size


def test_workers_drain_within_their_grace():
    for group in manifest("raycluster.yaml")["spec"]["workerGroupSpecs"]:
        pod = group["template"]["spec"]
        variables = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
        drain = float(variables["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
        assert 30 < drain < pod["terminationGracePeriodSeconds"]


def test_no_container_runs_as_root_or_without_limits():
    assert len(list(containers(objects()))) == 8
    for pod in pods(objects()):
        assert pod["securityContext"]["runAsNonRoot"]
    for container in containers(objects()):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["resources"]["requests"].keys() == container["resources"]["limits"].keys()


def test_credentials_come_from_secrets_alone():
    for one in objects():
        assert one["kind"] != "Secret"
    for container in containers(objects()):
        for variable in container.get("env", []):
            if re.search("KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", variable["name"]):
                assert "secretKeyRef" in variable["valueFrom"]
    nodes = list(containers(manifest("raycluster.yaml")))
    assert all("secretRef" in container["envFrom"][0] for container in nodes)


def test_every_cluster_asks_for_a_token_and_the_nightly_submitter_has_it():
    cluster = manifest("raycluster.yaml")
    assert cluster["spec"]["authOptions"] == {"mode": "token"}
    (submitter,) = containers(manifest("nightly.yaml"))
    variables = {one["name"]: one for one in submitter["env"]}
    assert variables["RAY_AUTH_MODE"]["value"] == "token"
    # The operator names the secret after the cluster.
    secret = variables["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert secret == {"name": cluster["metadata"]["name"], "key": "auth_token"}
    service = f"http://{cluster['metadata']['name']}-head-svc:8265"
    assert f"--address={service}" in submitter["command"]


def test_nights_do_not_overlap():
    spec = manifest("nightly.yaml")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert "--no-wait" not in str(spec), "the pod must live as long as the job"
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def chosen(selector, labels):
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(
        labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", [])
    )


def admits(rules, side, labels, port):
    """Tell whether any rule lets pods with these labels through to or from a port."""
    return any(
        any(chosen(peer["podSelector"], labels) for peer in rule[side] if "podSelector" in peer)
        and ("ports" not in rule or port in [one["port"] for one in rule["ports"]])
        for rule in rules
    )


@pytest.mark.parametrize(
    ("source", "target", "port", "passes"),
    [
        ("worker", "head", 6379, True),
        ("head", "worker", 30000, True),
        ("worker", "worker", 30000, True),
        ("submitter", "head", 8265, True),
        ("submitter", "head", 6379, False),
        ("submitter", "worker", 8265, False),
        ("operator", "head", 8265, True),
        ("operator", "head", 6379, False),
        ("stranger", "head", 8265, False),
        ("stranger", "worker", 30000, False),
    ],
)
def test_only_the_clusters_own_and_the_submitter_reach_the_head(source, target, port, passes):
    labels = {
        part: {"app.kubernetes.io/name": "medcolor", "app.kubernetes.io/component": part}
        for part in ("head", "worker", "submitter")
    }
    labels["operator"] = {"app.kubernetes.io/name": "kuberay-operator"}
    labels["stranger"] = {"app.kubernetes.io/name": "web"}
    policies = [one["spec"] for one in documents(CLUSTER / "kuberay" / "network-policy.yaml")]

    def open_at(part, direction, side, other):
        mine = [one for one in policies if chosen(one["podSelector"], labels[part])]
        rules = [rule for one in mine for rule in one.get(direction, [])]
        return not mine or admits(rules, side, labels[other], port)

    leaves = open_at(source, "egress", "to", target)
    enters = open_at(target, "ingress", "from", source)
    assert (leaves and enters) == passes


def test_the_pods_bear_the_labels_that_the_policies_choose_by():
    spec = manifest("raycluster.yaml")["spec"]
    templates = {"head": [spec["headGroupSpec"]["template"]]}
    templates["worker"] = [group["template"] for group in spec["workerGroupSpecs"]]
    nightly = manifest("nightly.yaml")["spec"]["jobTemplate"]["spec"]["template"]
    templates["submitter"] = [manifest("rayjob.yaml")["spec"]["submitterPodTemplate"], nightly]
    for part, bearers in templates.items():
        for template in bearers:
            labels = {"app.kubernetes.io/name": "medcolor", "app.kubernetes.io/component": part}
            assert template["metadata"]["labels"] == labels


def test_versions_are_those_of_the_project():
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line
    )
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert manifest("raycluster.yaml")["spec"]["rayVersion"] == pinned["ray"]
    images = {container["image"] for container in containers(objects())}
    text = "".join(path.read_text() for path in (CLUSTER / "ray-up").glob("*.yaml"))
    images |= set(re.findall(r"image: (\S+)", text))
    tags = {image.rpartition(":")[2] for image in images}
    assert tags == {version, f"{version}-cpu"}
