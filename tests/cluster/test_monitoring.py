"""The dashboard names metrics that are exported, and Prometheus looks where Ray writes."""

from __future__ import annotations

import json
import re

import pytest
from manifests import CLUSTER, documents
from ray._private.ray_constants import PROMETHEUS_SERVICE_DISCOVERY_FILE

from medcolor.run.metrics import METRICS as EXPORTED

METRICS = {one.full_name: (one.kind.value, set(one.tags)) for one in EXPORTED.values()}
DASHBOARD = json.loads((CLUSTER / "monitoring" / "dashboard.json").read_text())
TARGETS = [(panel["title"], target) for panel in DASHBOARD["panels"] for target in panel["targets"]]


def exported(name):
    """Return kind and labels of a series, whose name may be a part of a histogram's."""
    plain = name.removeprefix("ray_")
    if plain.endswith("_bucket"):
        kind, labels = METRICS[plain.removesuffix("_bucket")]
        assert kind == "histogram"
        return kind, labels | {"le"}
    return METRICS[plain]


@pytest.mark.parametrize(("title", "target"), TARGETS)
def test_a_query_names_exported_metrics_and_their_labels(title, target):
    names = re.findall(r"[a-z]\w*_\w+(?=[\[){ ]|$)", target["expr"])
    names = [name for name in names if name != "histogram_quantile"]
    assert len(names) == 1, title
    assert names[0].startswith("ray_")
    kind, labels = exported(names[0])
    assert ("rate(" in target["expr"] or "increase(" in target["expr"]) == (kind != "gauge")
    grouped = re.findall(r"by \(([^)]*)\)", target["expr"])
    used = {label.strip() for group in grouped for label in group.split(",")}
    assert used <= labels
    assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= used
    assert target["expr"].count("(") == target["expr"].count(")")


def test_every_metric_is_shown():
    expressions = " ".join(target["expr"] for _, target in TARGETS)
    assert [name for name in METRICS if f"ray_{name}" not in expressions] == []


def test_panels_have_ids_of_their_own_and_do_not_overlap():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_prometheus_reads_the_list_that_ray_keeps():
    (settings,) = documents(CLUSTER / "monitoring" / "prometheus.yaml")
    beside, pods = settings["scrape_configs"]
    assert beside["file_sd_configs"] == [
        {"files": [f"/tmp/ray/{PROMETHEUS_SERVICE_DISCOVERY_FILE}"]}
    ]
    assert pods["kubernetes_sd_configs"] == [{"role": "pod"}]


def test_prometheus_keeps_the_pods_of_the_manifests():
    (settings,) = documents(CLUSTER / "monitoring" / "prometheus.yaml")
    (keep,) = [
        rule for rule in settings["scrape_configs"][1]["relabel_configs"] if "action" in rule
    ]
    (cluster,) = documents(CLUSTER / "kuberay" / "raycluster.yaml")
    spec = cluster["spec"]
    for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]:
        (container,) = group["template"]["spec"]["containers"]
        found = {
            "__meta_kubernetes_pod_label_app_kubernetes_io_name": group["template"]["metadata"][
                "labels"
            ]["app.kubernetes.io/name"],
        }
        ports = [port["name"] for port in container["ports"]]
        passed = []
        for port in ports:
            found["__meta_kubernetes_pod_container_port_name"] = port
            joined = ";".join(found[label] for label in keep["source_labels"])
            passed += [port] * bool(re.fullmatch(keep["regex"], joined))
        assert passed == ["metrics"]
