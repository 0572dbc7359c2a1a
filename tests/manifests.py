"""Reading the files of cluster/, and the schemas they are held to."""

from __future__ import annotations

import copy
import json
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import yaml

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "cluster"
SCHEMAS = Path(__file__).parent / "schemas"


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, as the Kubernetes API does; YAML readers take the last."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    keys = [loader.construct_object(key) for key, _ in node.value]
    if len(keys) != len(set(keys)):
        raise yaml.constructor.ConstructorError(None, None, f"a key twice in {keys}")
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def documents(path: Path) -> list[dict[str, Any]]:
    """Return the YAML documents of a file."""
    return list(yaml.load_all(path.read_text(), Loader=_Loader))


def manifest(name: str) -> dict[str, Any]:
    """Return the only object of a file of cluster/kuberay/."""
    (document,) = documents(CLUSTER / "kuberay" / name)
    return document


def entrypoints() -> dict[str, list[str]]:
    """Return the words of the commands that the Kubernetes objects run on the head."""
    nightly = manifest("nightly.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    command = nightly["containers"][0]["command"]
    return {
        "rayjob.yaml": shlex.split(manifest("rayjob.yaml")["spec"]["entrypoint"]),
        "nightly.yaml": command[command.index("--") + 1 :],
    }


def custom_schema(kind: str) -> dict[str, Any]:
    """Return KubeRay's schema of a kind."""
    return json.loads((SCHEMAS / "kuberay" / f"{kind.lower()}.json").read_text())


def _strict(schema: Any) -> Any:
    """Refuse fields that an object's schema does not list; the API only warns of them."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: _strict(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        schema.setdefault("additionalProperties", False)
    return schema


def _unique_keys(_validator, keys, items, schema):
    """`x-kubernetes-list-map-keys`: no two items of a list with the same name."""
    fields = schema["items"]["properties"]
    seen = [tuple(item.get(key, fields[key].get("default")) for key in keys) for item in items]
    for one in {one for one in seen if seen.count(one) > 1}:
        yield jsonschema.ValidationError(f"{keys} {one} twice")


def _unchecked(_validator, rules, _instance, _schema):
    """Refuse `x-kubernetes-validations`: rules in CEL, which nothing here can evaluate."""
    yield jsonschema.ValidationError(f"holds to rules that are not checked: {rules}")


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"x-kubernetes-list-map-keys": _unique_keys, "x-kubernetes-validations": _unchecked},
)


def problems(document: dict[str, Any]) -> list[str]:
    """Return what keeps a Kubernetes object from being accepted as it is meant."""
    validator = _Validator(_schema_of(document["kind"]))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def _schema_of(kind: str) -> dict[str, Any]:
    """Return the schema of an object, its metadata included.

    KubeRay's schemas hold those of the Kubernetes parts they embed (pod templates, rules of
    network policies); around these, the fields of CronJob, NetworkPolicy and volume claim are
    written down here, from the Kubernetes API reference.
    """
    job, cluster = custom_schema("RayJob"), custom_schema("RayCluster")
    template = job["properties"]["spec"]["properties"]["submitterPodTemplate"]
    metadata = copy.deepcopy(template["properties"]["metadata"])
    if kind == "RayJob":
        schema = job
    elif kind == "RayCluster":
        schema = cluster
    else:
        specs = {
            "CronJob": lambda: _cron_job(template, metadata),
            "NetworkPolicy": lambda: _network_policy(cluster),
            "PersistentVolumeClaim": _volume_claim,
        }
        version = {"CronJob": "batch/v1", "NetworkPolicy": "networking.k8s.io/v1"}.get(kind, "v1")
        schema = _object(apiVersion={"const": version}, kind={"const": kind}, spec=specs[kind]())
    schema = {**schema, "required": ["apiVersion", "kind", "metadata", "spec"]}
    schema["properties"] = {**schema["properties"], "metadata": {**metadata, "required": ["name"]}}
    return _strict(schema)


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


_COUNT = {"type": "integer", "minimum": 0}


def _cron_job(template: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    job = _object(
        ("template",),
        backoffLimit=_COUNT,
        activeDeadlineSeconds=_COUNT,
        ttlSecondsAfterFinished=_COUNT,
        template=template,
    )
    return _object(
        ("schedule", "jobTemplate"),
        schedule={"type": "string", "pattern": r"^(\S+ ){4}\S+$"},
        timeZone={"type": "string"},
        suspend={"type": "boolean"},
        concurrencyPolicy={"enum": ["Allow", "Forbid", "Replace"]},
        startingDeadlineSeconds=_COUNT,
        successfulJobsHistoryLimit=_COUNT,
        failedJobsHistoryLimit=_COUNT,
        jobTemplate=_object(("spec",), metadata=metadata, spec=job),
    )


def _network_policy(cluster: dict[str, Any]) -> dict[str, Any]:
    head = cluster["properties"]["spec"]["properties"]["networkPolicy"]["properties"]["head"]
    ingress, egress = (head["properties"][key] for key in ("ingressRules", "egressRules"))
    selector = ingress["items"]["properties"]["from"]["items"]["properties"]["podSelector"]
    types = {"type": "array", "items": {"enum": ["Ingress", "Egress"]}}
    return _object(
        ("podSelector",), podSelector=selector, policyTypes=types, ingress=ingress, egress=egress
    )


def _volume_claim() -> dict[str, Any]:
    modes = ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]
    requests = _object(("storage",), storage={"type": "string", "pattern": r"^\d+[KMGTP]i$"})
    return _object(
        ("accessModes", "resources"),
        accessModes={"type": "array", "items": {"enum": modes}},
        storageClassName={"type": "string"},
        resources=_object(("requests",), requests=requests),
    )
