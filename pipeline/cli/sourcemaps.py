"""`pipeline sourcemaps`: add, list, check and remove source maps."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

import click
import msgspec
import orjson
from rich.table import Table

from pipeline.cli.options import (
    WholeNumber,
    clock,
    fail,
    inputs_argument,
    log_plainly,
    reading_options,
    report_lost,
    settings_file_option,
    settings_options,
    stdout,
)
from pipeline.model.errors import RetryableError
from pipeline.rules.folder import load_rules
from pipeline.rules.shipped import rules_path
from pipeline.runtimes.recorded.readers import InputError, Inputs
from pipeline.settings.loading import load_settings
from pipeline.settings.schema import ArtifactSettings, Settings
from pipeline.sourcemaps.bundle import Bundle, DamagedBundleError, read_bundle
from pipeline.sourcemaps.diagnosis import FrameDiagnosis, diagnose_event
from pipeline.sourcemaps.packing import (
    NothingToFindByError,
    Packed,
    UnusableUrlPrefixError,
    normalize_url_prefix,
    pack_folder,
    rebind_bundle,
)
from pipeline.sourcemaps.stores.contract import BUNDLE_SUFFIX, ArtifactStore, StoredBundle, StoreUnavailableError
from pipeline.sourcemaps.stores.folder_store import FolderStore
from pipeline.stages import CHECKED
from pipeline.stages.runner import run
from pipeline.wiring.artifacts import open_artifacts, open_store
from pipeline.wiring.contexts import explain_context

_DAY_S = 86_400
_project_option = click.option("--project", type=WholeNumber(), required=True, metavar="ID", help="The project.")
_artifacts_option = click.option(
    "--artifacts", metavar="DIR|URL", help="The artifact store.  [default: the settings' artifacts.url]"
)


@click.group()
def sourcemaps() -> None:
    """Add, list, check and remove source maps."""
    log_plainly()


@sourcemaps.command(short_help="Add a build, or a bundle of one.")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@_project_option
@click.option("--release", metavar="R", help="The release that the files belong to. Files with debug ids do not need one.")
@click.option("--dist", metavar="D", help="The dist of the release, exactly as events name it.")
@click.option(
    "--url-prefix",
    default="~/",
    metavar="P",
    help="The folder's URL; `~` stands for any host.  [default: ~/]",
)
@_artifacts_option
@settings_file_option
def add(
    path: Path,
    project: int,
    release: str | None,
    dist: str | None,
    url_prefix: str,
    artifacts: str | None,
    settings_file: Path | None,
) -> None:
    """Add a build to the store: a folder of built files with their maps, or a bundle as sentry-cli makes it.

    \b
    Examples:
      pipeline sourcemaps add dist/ --artifacts artifacts/ --project 7 --release shop@1.2.0 --url-prefix '~/static'
      pipeline sourcemaps add bundle.zip --artifacts artifacts/ --project 7
    """
    settings, store = _open(artifacts, settings_file)
    limit = settings.artifacts.max_file_bytes
    with tempfile.TemporaryFile() as bundle:
        try:
            if path.is_dir():
                taken_as = normalize_url_prefix(url_prefix)
                if taken_as != url_prefix.rstrip("/"):
                    print(f"--url-prefix {url_prefix} is taken as {taken_as}", file=sys.stderr)
                packed = pack_folder(path, bundle, release=release, dist=dist, url_prefix=url_prefix, max_file_bytes=limit)
            else:
                with path.open("rb") as file:
                    packed = rebind_bundle(file, bundle, release=release, dist=dist, max_file_bytes=limit)
        except UnusableUrlPrefixError as error:
            fail(f"--url-prefix: {error}")
        except NothingToFindByError as error:
            fail(f"{path}: {error} (--release)")
        except (DamagedBundleError, OSError) as error:
            fail(f"{path}: {error}")
        bundle.seek(0)
        name = file_digest(bundle, "sha256").hexdigest()[:32] + BUNDLE_SUFFIX
        bundle.seek(0)
        with _reaching():
            store.add(project, name, bundle)
    _print_added(project, name, packed)


def _print_added(project: int, name: str, packed: Packed) -> None:
    for warning in packed.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"added {project}/{name}: {len(packed.files)} files, {packed.with_debug_id} with debug ids")
    for url in packed.files[:10]:
        print(f"  {url}")
    if len(packed.files) > 10:
        print(f"  and {len(packed.files) - 10} more")


@sourcemaps.command("list", short_help="List the bundles in the store.")
@click.option("--project", type=WholeNumber(), metavar="ID", help="The project.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each bundle.")
@_artifacts_option
@settings_file_option
def list_bundles(project: int | None, artifacts: str | None, settings_file: Path | None, *, as_json: bool) -> None:
    """List the bundles in the store, the newest first, and what is wrong with them."""
    _, store = _open(artifacts, settings_file, must_exist=True)
    table = Table("project", "bundle", "added", "release", "dist", "files", "debug ids", "damage")
    with _reaching():
        for project_id in [project] if project is not None else store.projects():
            for stored in sorted(store.bundles(project_id), key=lambda stored: stored.added, reverse=True):
                bundle = _read(store, project_id, stored)
                if as_json:
                    print(orjson.dumps(_to_json(project_id, bundle)).decode())
                else:
                    table.add_row(str(project_id), *_columns(bundle))
    if as_json:
        return
    if table.row_count:
        stdout.print(table)
    else:
        print("no bundles")


def _columns(bundle: Bundle) -> tuple[str, ...]:
    debug_ids = len({debug_id for debug_id, _ in bundle.by_debug_id})
    bound = bundle.release or "", bundle.dist or ""
    return bundle.stored.name, _iso(bundle.stored.added), *bound, str(len(bundle.files)), str(debug_ids), "; ".join(bundle.damage)


@sourcemaps.command(short_help="Show why frames are not resolved.")
@inputs_argument
@settings_options
@reading_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each frame.")
def check(
    inputs: tuple[str, ...],
    settings_file: Path | None,
    rules: str | None,
    artifacts: str | None,
    project: int | None,
    now: float | None,
    *,
    as_json: bool,
) -> None:
    """Show for each frame of an event which files were looked up, where they were found, and what would fix the frame.

    The exit status is 1 if a frame of a built file was not resolved, or if the input holds no event.
    """
    settings = load_settings(settings_file, {("rules",): rules, ("artifacts", "url"): artifacts})
    moment = clock(now)
    resolver = open_artifacts(settings.artifacts)
    rules_folder = load_rules(rules_path(settings.rules))  # for scrubbing; the shipped rules would do
    context = explain_context(msgspec.structs.replace(settings, artifacts=ArtifactSettings()), rules_folder, now=moment)
    is_resolved, events = True, 0
    try:
        records = Inputs(inputs, now=moment, project_id=project, max_record_bytes=settings.input.max_record_bytes)
        for record in records:
            result = run([record], context, CHECKED)
            for dead in result.dead:
                report_lost(f"{record.source}:{record.position}: {dead.reason} {dead.detail}")
            events += len(result.events)
            for item in result.events:
                diagnoses = diagnose_event(item.event, item.scope.project_id, resolver)
                is_resolved &= all(diagnosis.outcome != "unresolved" for diagnosis in diagnoses)
                _print_diagnoses(item.event_id, item.scope.project_id, diagnoses, as_json=as_json)
    except InputError as error:
        fail(str(error))
    if not events:
        print("no event to check", file=sys.stderr)
    sys.exit(0 if events and is_resolved else 1)


def _print_diagnoses(event_id: str, project_id: int, diagnoses: list[FrameDiagnosis], *, as_json: bool) -> None:
    if as_json:
        for diagnosis in diagnoses:
            print(orjson.dumps({"event_id": event_id, "project_id": project_id, **asdict(diagnosis)}).decode())
        return
    print(f"event {event_id}, project {project_id}; the frame that crashed is the last")
    for diagnosis in diagnoses:
        print(f"\n{diagnosis.to_text()}")
    print()


@sourcemaps.command(short_help="Remove bundles by name or release.")
@click.argument("names", nargs=-1, metavar="BUNDLE...")
@_project_option
@click.option("--release", metavar="R", help="Remove every bundle of this release.")
@_artifacts_option
@settings_file_option
def remove(names: tuple[str, ...], project: int, release: str | None, artifacts: str | None, settings_file: Path | None) -> None:
    """Remove bundles, by their names in `list` or by release."""
    if not names and release is None:
        fail("name the bundles to remove, or their --release")
    _, store = _open(artifacts, settings_file, must_exist=True)
    with _reaching():
        stored = {bundle.name: bundle for bundle in store.bundles(project)}
        unknown = [name for name in names if name not in stored]
        if unknown:
            fail(f"project {project} has no bundle {', '.join(unknown)}")
        for name, bundle in stored.items():
            if name in names or (release is not None and _read(store, project, bundle).release == release):
                store.remove(project, name)
                print(f"removed {project}/{name}")


@sourcemaps.command(short_help="Remove old bundles.")
@click.option("--project", type=WholeNumber(), metavar="ID", help="The project.  [default: all]")
@click.option(
    "--older-than", "days", type=WholeNumber(), metavar="DAYS", help="[default: the settings' artifacts.retention_days]"
)
@click.option("--dry-run", is_flag=True, help="Only print what would be removed.")
@_artifacts_option
@settings_file_option
def prune(project: int | None, days: int | None, artifacts: str | None, settings_file: Path | None, *, dry_run: bool) -> None:
    """Remove the bundles that are older than `artifacts.retention_days`, or than --older-than."""
    settings, store = _open(artifacts, settings_file, must_exist=True)
    before = time.time() - (days or settings.artifacts.retention_days) * _DAY_S
    with _reaching():
        for project_id in [project] if project is not None else store.projects():
            for bundle in store.bundles(project_id):
                if bundle.added < before:
                    if not dry_run:
                        store.remove(project_id, bundle.name)
                    print(f"{'would remove' if dry_run else 'removed'} {project_id}/{bundle.name}, added {_iso(bundle.added)}")


def _open(artifacts: str | None, settings_file: Path | None, *, must_exist: bool = False) -> tuple[Settings, ArtifactStore]:
    settings = load_settings(settings_file, {("artifacts", "url"): artifacts})
    store = open_store(settings.artifacts)
    if must_exist and isinstance(store, FolderStore) and not store.folder.is_dir():
        fail(f"{store.folder}: no such folder")
    return settings, store


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except StoreUnavailableError as error:
        raise RetryableError("artifact store", str(error)) from None


def _read(store: ArtifactStore, project_id: int, stored: StoredBundle) -> Bundle:
    try:
        with store.open(project_id, stored) as file:
            return read_bundle(stored, file)
    except FileNotFoundError:
        return Bundle(stored, damage=("gone meanwhile",))


def _to_json(project_id: int, bundle: Bundle) -> dict[str, object]:
    files = [{"url": each.url, "type": each.type, "debug_id": each.debug_id, "size": each.member.size} for each in bundle.files]
    return {
        "project_id": project_id,
        "name": bundle.stored.name,
        "added": _iso(bundle.stored.added),
        "size": bundle.stored.size,
        "release": bundle.release,
        "dist": bundle.dist,
        "files": files,
        "damage": bundle.damage,
    }


def _iso(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
