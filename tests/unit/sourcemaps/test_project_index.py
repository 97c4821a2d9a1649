from __future__ import annotations

from pipeline.sourcemaps.bundle import Bundle, BundledFile, ZipMember
from pipeline.sourcemaps.module import EventBuild
from pipeline.sourcemaps.project_index import ProjectIndex
from pipeline.sourcemaps.stores.contract import StoredBundle

ID = "f81c208d-9b7d-58f8-b103-e6a3855a8f31"


def bundle(
    name: str, *urls: str, added: float = 0.0, debug_id: str | None = None, release: str | None = None, dist: str | None = None
) -> Bundle:
    files = tuple(BundledFile(ZipMember(url, 1, 1, 0, 0, 0), "minified_source", url, {}, debug_id) for url in urls)
    by_id = {(debug_id, "minified_source"): files[0]} if debug_id is not None else {}
    return Bundle(
        StoredBundle(name, "1", 1, added), release, dist, files, by_url={file.url: file for file in files}, by_debug_id=by_id
    )


def find(
    index: ProjectIndex, *urls: str, debug_id: str | None = None, release: str | None = "r", dist: str | None = None
) -> tuple[str, str] | None:
    build = EventBuild(7, release, dist, (debug_id,) if debug_id else ())
    found = index.find(build, urls, debug_id=debug_id, file_type="minified_source")
    return (found.bundle.stored.name, found.resolved_with) if found else None


def test_release_and_dist_are_exact() -> None:
    index = ProjectIndex(
        [bundle("none", "~/a", release="r"), bundle("ios", "~/a", release="r", dist="ios"), bundle("q", "~/a", release="q")]
    )
    assert find(index, "~/a") == ("none", "release")
    assert find(index, "~/a", dist="ios") == ("ios", "release")
    assert find(index, "~/a", dist="android") is None
    assert find(index, "~/a", release="R") is None
    assert find(index, "~/a", release=None) is None


def test_url_order_comes_before_the_age_of_a_bundle() -> None:
    index = ProjectIndex([bundle("old", "https://h/a", added=1, release="r"), bundle("new", "~/a", added=2, release="r")])
    assert find(index, "https://h/a", "~/a") == ("old", "release")


def test_the_newest_bundle_wins() -> None:
    index = ProjectIndex([bundle("old", "~/a", added=1, release="r"), bundle("new", "~/a", added=2, release="r")])
    assert find(index, "~/a") == ("new", "release")


def test_a_debug_id_needs_no_release_and_beats_the_url() -> None:
    index = ProjectIndex([bundle("by-url", "~/a", added=2, release="r"), bundle("by-id", "~/b", added=1, debug_id=ID)])
    assert find(index, "~/a", debug_id=ID) == ("by-id", "debug-id")
    assert find(index, "~/a", debug_id=ID, release=None) == ("by-id", "debug-id")


def test_a_bundle_found_by_debug_id_gives_its_other_files_by_url() -> None:
    index = ProjectIndex([bundle("by-id", "~/a", "~/other", debug_id=ID)])
    build = EventBuild(7, None, None, (ID,))
    found = index.find(build, ["~/other"], debug_id=None, file_type="source")
    assert found is not None
    assert (found.file.url, found.resolved_with) == ("~/other", "debug-id")


def test_a_bundle_with_debug_ids_and_no_release_is_not_found_by_url_alone() -> None:
    assert find(ProjectIndex([bundle("by-id", "~/a", debug_id=ID)]), "~/a") is None


def test_a_bundle_with_neither_serves_every_release_last() -> None:
    unbound, bound = bundle("unbound", "~/a", added=9), bundle("bound", "~/a", added=1, release="r")
    assert find(ProjectIndex([unbound]), "~/a") == ("unbound", "release")
    assert find(ProjectIndex([unbound, bound]), "~/a") == ("bound", "release")
    assert find(ProjectIndex([unbound]), "~/a", release=None) is None


def test_single_files_come_after_bundles() -> None:
    single = Bundle(
        StoredBundle("single", "1", 1, 9.0),
        "r",
        is_release_files=True,
        by_url=bundle("x", "~/a").by_url,
        resolved_with="release-old",
    )
    assert find(ProjectIndex([single, bundle("bundle", "~/a", added=1, release="r")]), "~/a") == ("bundle", "release")
    assert find(ProjectIndex([single]), "~/a") == ("single", "release-old")
    assert find(ProjectIndex([single, bundle("other", "~/b", release="r")]), "~/a", "~/b") == ("other", "release")
