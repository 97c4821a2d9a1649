from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest
from click.testing import CliRunner

from pipeline.cli import cli
from pipeline.settings.schema import ArtifactSettings, GatewaySettings, KafkaSettings, RedisSettings, Settings, WebSettings
from pipeline.wiring import doctor
from pipeline.wiring.doctor import Finding, Health, examine


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    (folder / "default").mkdir(parents=True)
    (folder / "projects" / "42").mkdir(parents=True)
    (folder / "projects" / "42" / "project.toml").write_text(f'[[keys]]\nid = 5\npublic_key = "{"a" * 32}"\n')
    return folder


def states(findings: Iterator[Finding]) -> list[tuple[str, Health]]:
    return [(finding.part, finding.state) for finding in findings]


def test_good_rules(rules: Path) -> None:
    [found] = examine(Settings(), rules, ("rules",))
    assert (found.state, found.advice) == (Health.OK, "")
    assert "1 projects of their own" in found.text


def test_each_mistake_of_the_rules_is_named(rules: Path) -> None:
    (rules / "default" / "fingerprints.rules").write_text("nonsense\n")
    (rules / "default" / "quotas.toml").write_text("[[quota]]\n")
    found = list(examine(Settings(), rules, ("rules",)))
    assert {finding.state for finding in found} == {Health.WRONG}
    assert any("fingerprints.rules:1" in finding.text for finding in found)
    assert any("quotas.toml" in finding.text for finding in found)


def test_an_installation_that_takes_everything_is_remarked_on(rules: Path) -> None:
    (rules / "projects" / "42" / "project.toml").unlink()
    assert ("rules", Health.REMARK) in states(examine(Settings(), rules, ("rules",)))


def test_what_does_not_answer_is_wrong_and_the_rest_is_examined(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.kafka.topics.TIMEOUT_S", 0.5)
    settings = Settings(
        kafka=KafkaSettings(brokers="127.0.0.1:1"),
        redis=RedisSettings(url="redis://127.0.0.1:1"),
        artifacts=ArtifactSettings(url=str(rules / "nowhere")),
    )
    found = {finding.part: finding for finding in examine(settings, rules, ("topics", "redis", "source-maps", "rules"))}
    assert list(found) == ["rules", "topics", "redis", "source-maps"]
    assert [finding.state for finding in found.values()] == [Health.OK, Health.WRONG, Health.WRONG, Health.WRONG]
    assert all(finding.advice for finding in list(found.values())[1:])


class Usage(NamedTuple):
    total: float
    used: float
    free: float


@pytest.mark.parametrize(("free", "state"), [(5e8, Health.WRONG), (5e9, Health.REMARK), (5e10, Health.OK)])
def test_a_disk_that_is_nearly_full(
    free: float, state: Health, tmp_path: Path, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(1e11, 1e11 - free, free))
    settings = Settings(gateway=GatewaySettings(spool=str(tmp_path / "not" / "yet")))
    assert states(examine(settings, rules, ("disk",))) == [("disk", state)]


class _NotReady(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503)
        self.end_headers()
        self.wfile.write(b'{"ready":false,\n"why":"redis is away"}')

    def log_message(self, *_: object) -> None:
        """Keep the test's output to itself."""


def test_a_service_that_is_not_ready_says_why(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with HTTPServer(("127.0.0.1", 0), _NotReady) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setattr(doctor, "_WEB_PORTS", {"worker": server.server_port, "gateway": 1})
        found = list(examine(Settings(), rules, ("services",)))
        server.shutdown()
    assert states(iter(found)) == [("services", Health.WRONG), ("services", Health.REMARK)]
    assert "redis is away" in found[0].text


def test_web_views_that_are_exposed_are_remarked_on(rules: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_WEB_PORTS", {})
    settings = Settings(web=WebSettings(host="0.0.0.0"))  # noqa: S104 -- nothing is bound
    assert states(examine(settings, rules, ("services",))) == [("services", Health.REMARK)]


def test_the_command_ends_with_1_and_prints_what_to_do(rules: Path) -> None:
    done = CliRunner().invoke(cli, ["doctor", "--rules", str(rules), "--only", "redis"])
    assert done.exit_code == 1
    assert done.stdout.startswith("wrong   redis")
    assert "PIPELINE_REDIS_URL" in done.stdout
    done = CliRunner().invoke(cli, ["doctor", "--rules", str(rules), "--only", "rules", "--json"])
    assert done.exit_code == 0
    assert [finding["state"] for finding in orjson.loads(done.stdout)] == ["ok"]
