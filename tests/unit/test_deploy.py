"""What is deployed fits its schema, and says the same as the code: ports, paths, metrics, settings."""

from __future__ import annotations

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pipeline.observability.metric_defs import API_METRICS, GATEWAY_METRICS, METRICS, STORE_METRICS
from pipeline.rules.folder import load_rules
from pipeline.settings.loading import load_settings, variables

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
_NO_MANIFEST = frozenset({"kustomization.yaml", "patch.yaml", "adapter-rule.yaml"})
_OF_OPERATORS = frozenset({"ScaledObject", "PodMonitor"})
"""Kinds that the schema of Kubernetes does not hold."""
MANIFESTS = [
    (path.name, document)
    for path in sorted(KUBERNETES.rglob("*.yaml"))
    if path.name not in _NO_MANIFEST
    for document in yaml.safe_load_all(path.read_text())
]
COMPONENTS = sorted(path.parent for path in KUBERNETES.rglob("components/*/kustomization.yaml"))
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
KUBERNETES_VERSION = "1.33"

EXPOSED = {
    metric.name + suffix
    for metric in (*METRICS, *GATEWAY_METRICS, *STORE_METRICS, *API_METRICS)
    for suffix in ("", "_total", "_bucket", "_count", "_sum")
}


def names_of(documents: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [f"{name}-{one['kind']}" for name, one in documents]


OF_KUBERNETES = [(name, one) for name, one in MANIFESTS if one["kind"] not in _OF_OPERATORS]


@pytest.mark.parametrize("document", [one for _, one in OF_KUBERNETES], ids=names_of(OF_KUBERNETES))
def test_manifests_fit_the_schema_of_kubernetes(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, KUBERNETES_VERSION, strict=True)


def patched(document: dict[str, Any], component: Path) -> dict[str, Any]:
    """Apply a component's patch, which holds nothing but additions, as kustomize does."""
    document = copy.deepcopy(document)
    for operation in yaml.safe_load((component / "patch.yaml").read_text()):
        assert operation["op"] == "add"
        *parents, last = operation["path"].removeprefix("/").split("/")
        place: Any = document
        for part in parents:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if isinstance(place, list):
            assert last == "-"
            place.append(operation["value"])
        else:
            assert last not in place, f"{component.name} would replace {operation['path']}"
            place[last] = operation["value"]
    return document


def test_all_components_together_fit_the_schema_and_the_code() -> None:
    patches = [component for component in COMPONENTS if (component / "patch.yaml").exists()]
    assert len(patches) == 4
    for _, document in MANIFESTS:
        if document["kind"] == "StatefulSet":
            for component in patches:
                document = patched(document, component)  # noqa: PLW2901 -- one patch after the other
            kubernetes_validate.validate(document, KUBERNETES_VERSION, strict=True)
            pod = document["spec"]["template"]["spec"]
            (only,) = pod["containers"]
            names = {variable["name"] for variable in only["env"]}
            assert {"PIPELINE_RULES", "PIPELINE_ARTIFACTS", "PIPELINE_KAFKA_SSL_CA_FILE"} <= names <= variables().keys()
            claims = document["spec"].get("volumeClaimTemplates", ())
            volumes = {volume["name"] for volume in pod["volumes"]} | {claim["metadata"]["name"] for claim in claims}
            assert {mount["name"] for mount in only["volumeMounts"]} <= volumes


def test_each_component_is_named_and_holds_what_it_names() -> None:
    named = (KUBERNETES / "kustomization.yaml").read_text()
    for component in COMPONENTS:
        assert f"components/{component.name}" in named
        told = yaml.safe_load((component / "kustomization.yaml").read_text())
        files = [*told.get("resources", ()), *(patch["path"] for patch in told.get("patches", ()))]
        files += [file for made in told.get("configMapGenerator", ()) for file in made["files"]]
        assert files
        assert all((component / file).is_file() for file in files)


def test_the_projects_of_the_config_map_are_rules(tmp_path: Path) -> None:
    source = KUBERNETES / "components" / "rules-from-configmap" / "42-project.toml"
    folder = tmp_path / "rules"
    shutil.copytree(ROOT / "rules", folder)
    (folder / "projects" / "42").mkdir(parents=True)
    shutil.copy(source, folder / "projects" / "42" / "project.toml")
    assert load_rules(folder).knows(42)


def container(name: str = "event-pipeline") -> dict[str, Any]:
    (found,) = [one for _, one in MANIFESTS if one["kind"] == "StatefulSet" and one["metadata"]["name"] == name]
    (only,) = found["spec"]["template"]["spec"]["containers"]
    return dict(only)


def test_the_defaults_fit_into_the_memory_of_a_worker(tmp_path: Path) -> None:
    """The sum of docs/operations.md, "memory grows", and the child process that parses unknown source maps."""
    (config,) = [one for _, one in MANIFESTS if one["kind"] == "ConfigMap"]
    file = tmp_path / "settings.toml"
    file.write_text(config["data"]["settings.toml"])
    for settings in (load_settings(None, environment={}), load_settings(file, environment={})):
        needed = 270_000_000 + 2 * settings.kafka.prefetch_bytes + 4 * settings.batch.max_bytes
        needed += settings.artifacts.memory_bytes + settings.artifacts.parse_memory_bytes
        for limit in (
            container()["resources"]["limits"]["memory"],
            COMPOSE["x-worker"]["deploy"]["resources"]["limits"]["memory"],
        ):
            assert needed <= memory_bytes(limit), limit


def test_a_liveness_probe_waits_longer_than_the_supervisor_of_a_hanging_worker() -> None:
    """Else the pod is ended first, and what is known about the record that hangs it is lost."""
    probe = container()["livenessProbe"]
    settings = load_settings(None, environment={})
    assert settings.supervisor.hang_s + 10 < probe["periodSeconds"] * probe["failureThreshold"]
    assert settings.supervisor.hang_s < settings.kafka.max_poll_interval_s


def memory_bytes(limit: str) -> int:
    return int(limit.rstrip("Mi")) * 2**20  # compose counts in powers of two as well


def test_web_views_are_reached_from_outside_a_container_and_nowhere_else(tmp_path: Path) -> None:
    (config,) = [one for _, one in MANIFESTS if one["kind"] == "ConfigMap"]
    file = tmp_path / "settings.toml"
    file.write_text(config["data"]["settings.toml"])
    everywhere = "0.0.0.0"  # noqa: S104 -- what is tested
    assert load_settings(None, environment={}).web.host == "127.0.0.1"
    assert load_settings(file, environment={}).web.host == everywhere
    assert load_settings(None, environment=COMPOSE["x-worker"]["environment"]).web.host == everywhere
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_worker_of_the_stateful_set_has_its_own_slot() -> None:
    slot = next(variable for variable in container()["env"] if variable["name"] == "PIPELINE_SLOT")
    assert slot["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_settings_in_the_config_map_are_settings(tmp_path: Path) -> None:
    (config,) = [one for _, one in MANIFESTS if one["kind"] == "ConfigMap"]
    file = tmp_path / "settings.toml"
    file.write_text(config["data"]["settings.toml"])
    load_settings(file, environment={})


def test_environment_names_exist() -> None:
    names = {variable["name"] for name in ("event-pipeline", "event-pipeline-gateway") for variable in container(name)["env"]}
    for service in COMPOSE["services"].values():
        names |= {name for name in service.get("environment", {}) if name.startswith("PIPELINE_")}
    assert names <= variables().keys()


def test_pods_stop_within_their_grace() -> None:
    found = [one for _, one in MANIFESTS if one["kind"] == "StatefulSet"]
    assert len(found) == 2
    assert all(one["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 10 for one in found)


def test_no_container_runs_as_root_or_without_limits() -> None:
    for name in ("event-pipeline", "event-pipeline-gateway"):
        assert container(name)["securityContext"]["readOnlyRootFilesystem"] is True
        assert container(name)["resources"]["limits"].keys() == {"cpu", "memory"}
    assert re.search(r"^USER 10001$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for name, service in COMPOSE["services"].items():
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
    for name in ("kafka", "redis", "worker-1", "worker-2", "gateway"):
        assert COMPOSE["services"][name]["healthcheck"]["test"], name


def test_everything_that_the_image_installs_is_locked() -> None:
    installs = re.findall(r"pip install [^&\n]*", (ROOT / "Dockerfile").read_text().replace("\\\n", " "))
    assert len(installs) == 3
    assert all("--require-hashes" in command or "--no-index" in command for command in installs)
    assert "\nsetuptools==" in (ROOT / "requirements-dev.lock").read_text()
    copied = re.findall(r"requirements[\w-]*\.lock", (ROOT / "Dockerfile").read_text())
    assert {f"!{name}" for name in copied} <= set((ROOT / ".dockerignore").read_text().splitlines())


def test_the_image_has_a_client_of_clickhouse_and_no_engine() -> None:
    lock = (ROOT / "requirements-image.lock").read_text()
    assert "\nclickhouse-connect==" in lock
    assert "\nchdb" not in lock


def test_two_workers_of_compose_have_different_slots() -> None:
    slots = [COMPOSE["services"][name]["environment"]["PIPELINE_SLOT"] for name in ("worker-1", "worker-2")]
    assert len(set(slots)) == 2


def expressions() -> list[str]:
    dashboard = json.loads((ROOT / "deploy/grafana/event-pipeline.json").read_text())
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    scaled = [one for _, one in MANIFESTS if one["kind"] == "ScaledObject"]
    found += [trigger["metadata"]["query"] for one in scaled for trigger in one["spec"]["triggers"]]
    return found + [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("expression", expressions())
def test_dashboard_and_alerts_ask_for_metrics_that_exist(expression: str) -> None:
    asked = set(re.findall(r"pipeline_\w+", expression))
    assert asked
    assert asked <= EXPOSED


def test_every_metric_is_on_the_dashboard() -> None:
    asked = {name for expression in expressions() for name in re.findall(r"pipeline_\w+", expression)}
    missing = [metric.name for metric in METRICS if not any(name.startswith(metric.name) for name in asked)]
    assert set(missing) <= {"pipeline_batch_bytes", "pipeline_new_groups", "pipeline_reports_suppressed"}
