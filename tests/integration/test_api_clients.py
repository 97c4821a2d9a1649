"""Clients that know nothing of us, unchanged: sentry-cli, npm's `sentry`, the MCP server. npm installs each of them once."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.api_process import ApiProcess

CACHE = Path("~/.cache/event-pipeline").expanduser()
Run = Callable[..., str]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    pytest.importorskip("chdb")
    api = ApiProcess(tmp_path_factory.mktemp("api"))
    api.fill()
    api.start()
    yield api
    api.close()


@pytest.fixture(scope="module")
def short_id(api: ApiProcess) -> str:
    """Return the largest group's short id."""
    [issue] = api.get("organizations/acme/issues/?query=error.type:PaymentError")
    return str(issue["shortId"])


def installed(package: str, version: str, program: str, folder: str) -> Path:
    path = CACHE / folder / "node_modules" / ".bin" / program
    if not path.exists():
        npm = shutil.which("npm")
        (CACHE / folder).mkdir(parents=True, exist_ok=True)
        command = [npm or "npm", "install", "--no-audit", "--no-fund", "--prefix", str(CACHE / folder), f"{package}@{version}"]
        if npm is None or subprocess.run(command, capture_output=True, check=False, timeout=200).returncode != 0:
            pytest.skip(f"{package} cannot be installed: npm and its registry are needed")
    return path


def runner(program: Path, api: ApiProcess, home: Path) -> Run:
    server = {
        "SENTRY_URL": api.url,
        "SENTRY_HOST": api.url,
        "SENTRY_AUTH_TOKEN": "x",
        "SENTRY_ORG": "acme",
        "SENTRY_PROJECT": "shop",
    }
    environment = {**os.environ, **server, "HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200", "SENTRY_CLI_NO_TELEMETRY": "1"}

    def run(*arguments: str) -> str:
        done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def sentry_cli(api: ApiProcess, tmp_path: Path) -> Run:
    return runner(installed("@sentry/cli", "3.8.0", "sentry-cli", "sentry-cli/3.8.0"), api, tmp_path)


@pytest.fixture
def sentry(api: ApiProcess, tmp_path: Path) -> Run:
    return runner(installed("sentry", "0.49.0", "sentry", "sentry-npm-0.49.0"), api, tmp_path)


def rows(table: str) -> list[list[str]]:
    """Return the cells of a table that sentry-cli printed, without its head."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]
    return lines[1:]


def test_sentry_cli(sentry_cli: Run, api: ApiProcess, short_id: str) -> None:
    assert f"Sentry Server: {api.url}" in sentry_cli("info")
    assert [row[:2] for row in rows(sentry_cli("projects", "list"))] == [["44", "44"], ["43", "idle"], ["42", "shop"]]
    issues = {row[1]: row[2:] for row in rows(sentry_cli("issues", "list"))}
    assert len(issues) == 3
    title, last_seen, *rest = issues[short_id]
    assert (title, rest) == ("PaymentError: card was refused", ["unresolved", "error"])
    assert last_seen == api.get(f"organizations/acme/issues/{short_id}/")["lastSeen"]
    events = rows(sentry_cli("events", "list", "--show-user"))
    assert [row[0].replace("-", "") for row in events] == [api.ids[13], *api.ids[11:9:-1], *api.ids[9::-1]]
    assert "user4@example.org" in events[3][3]
    assert [row[1] for row in rows(sentry_cli("releases", "list"))] == ["shop@1.1", "shop@1.0"]
    group_id = api.get(f"organizations/acme/issues/{short_id}/")["id"]
    sentry_cli("issues", "resolve", "-i", group_id)
    assert [row[1] for row in rows(sentry_cli("issues", "list", "--query", "is:resolved"))] == [short_id]
    sentry_cli("issues", "unresolve", "-i", group_id)
    assert rows(sentry_cli("issues", "list", "--query", "is:resolved")) == []


def test_sentry(sentry: Run, api: ApiProcess, short_id: str) -> None:
    assert "acme (acme)" in sentry("auth", "status")
    assert "acme" in sentry("org", "list")
    assert re.search(r"acme\W+shop\W", sentry("project", "list", "acme/"))
    found = json.loads(sentry("issue", "list", "acme/shop", "--json"))["data"]
    [issue] = [one for one in found if one["shortId"] == short_id]
    assert (issue["count"], issue["userCount"], issue["title"]) == ("10", 5, "PaymentError: card was refused")
    shown = sentry("issue", "view", short_id)
    for line in (
        "Events     │ 10",
        "Users      │ 5",
        "at charge (shop/payment.py:42",
        "raise PaymentError(card)",
        "user4@example.org",
    ):
        assert line in shown, shown
    events = sentry("issue", "events", short_id)
    assert [id_ for id_ in re.findall("[0-9a-f]{32}", events) if id_ in api.ids] == api.ids[9::-1]
    event = sentry("event", "view", "acme/shop", api.ids[9])
    for line in ("at charge (shop/payment.py:42", "opened", "Firefox 140.0", "https://shop.example.org/pay"):
        assert line in event, event


def test_the_mcp_server(api: ApiProcess, short_id: str, tmp_path: Path) -> None:
    program = installed("@sentry/mcp-server", "0.39.0", "sentry-mcp", "sentry-mcp-0.39.0")
    host = api.url.removeprefix("http://")
    environment = {**os.environ, "HOME": str(tmp_path), "SENTRY_MCP_DISABLE_TELEMETRY": "1"}
    with subprocess.Popen(
        [program, "--access-token=x", f"--host={host}", "--insecure-http"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        try:
            mcp = McpClient(process)
            assert '"acme"' in mcp.call("find_organizations")
            assert '"shop"' in mcp.call("find_projects", organizationSlug="acme")
            found = mcp.call("search_issues", organizationSlug="acme", query="error.type:PaymentError", projectSlugOrId="shop")
            for line in (short_id, "**Users**: 5", "**Events**: 10", "PaymentError: card was refused"):
                assert line in found, found
            shown = mcp.call("get_sentry_resource", resourceType="issue", organizationSlug="acme", resourceId=short_id)
            for line in (
                "**Occurrences**: 10",
                "**Users Impacted**: 5",
                'File "shop/payment.py", line 42, in charge',
                'card: "visa"',
            ):
                assert line in shown, shown
        finally:
            process.kill()


class McpClient:
    """Speaks JSON-RPC over a process's standard streams."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._number = 0
        about = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
        self._ask("initialize", about)
        self._send({"method": "notifications/initialized"})

    def call(self, tool: str, **arguments: str) -> str:
        """Return the text that a tool answers with."""
        result = self._ask("tools/call", {"name": tool, "arguments": arguments})
        assert not result.get("isError"), result
        return str(result["content"][0]["text"])

    def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if message.get("id") == self._number:
                return dict(message["result"])
        raise AssertionError("the server has ended")

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self._process.stdin.flush()
