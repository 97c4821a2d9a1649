from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.model.errors import SettingsError
from pipeline.settings.loading import load_settings
from pipeline.settings.schema import Settings


def write(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text)
    return path


def test_without_anything_the_defaults_hold() -> None:
    assert load_settings(None, environment={}) == Settings()


def test_file_then_environment_then_flags_the_later_wins(tmp_path: Path) -> None:
    file = write(tmp_path, 'rules = "file"\n[web]\nport = 1\n[redis]\nurl = "redis://file"')
    environment = {"PIPELINE_RULES": "environment", "PIPELINE_WEB_PORT": "2"}
    settings = load_settings(file, {("rules",): "flag", ("artifacts", "url"): None}, environment)
    assert (settings.rules, settings.web.port, settings.redis.url, settings.artifacts.url) == ("flag", 2, "redis://file", None)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[web]\nport = 'x'", "web.port"),
        ("[web]\nprot = 1", "prot"),
        ("nonsense = 1", "nonsense"),
        ("[web", "settings.toml"),
        ('[input]\nunknown_projects = "maybe"', "unknown_projects"),
        ("[batch]\nmax_records = 0", "batch.max_records"),
        ("[redis]\ntimeout_s = 0", "redis.timeout_s"),
        ('[kafka]\nconsumer_group = ""', "kafka.consumer_group"),
        ("[dead_letters]\nmax_ratio = 1.5", "dead_letters.max_ratio"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load_settings(write(tmp_path, text), environment={})


def test_every_setting_has_a_variable_and_some_a_short_one() -> None:
    environment = {
        "PIPELINE_KAFKA_OUTCOMES": "elsewhere",
        "PIPELINE_QUOTAS_DUPLICATES": "false",
        "PIPELINE_BATCH_MAX_RECORDS": "7",
    }
    settings = load_settings(None, environment=environment | {"PIPELINE_KAFKA_SLOT": "long", "PIPELINE_SLOT": "short"})
    assert (settings.kafka.outcomes, settings.quotas.duplicates, settings.batch.max_records) == ("elsewhere", False, 7)
    assert settings.kafka.slot == "short"


def test_a_list_in_a_variable_is_cut_at_commas() -> None:
    settings = load_settings(None, environment={"PIPELINE_ARTIFACTS_SCRAPE_HOSTS": "a.example, *.b.example,"})
    assert settings.artifacts.scrape_hosts == ("a.example", "*.b.example")


def test_a_variable_that_cannot_be_used_is_named() -> None:
    with pytest.raises(SettingsError, match="PIPELINE_WEB_PORT"):
        load_settings(None, environment={"PIPELINE_WEB_PORT": "many"})


@pytest.mark.parametrize("slip", ["PIPELINE_KAFKA_BROKER", "PIPELINE_REDIS_URI", "PIPELINE_RULE", "PIPELINE_REPORT_LOG_LEVEL"])
def test_a_variable_that_is_nearly_a_settings_is_refused(slip: str) -> None:
    with pytest.raises(SettingsError, match=f"{slip}: no such setting; did you mean PIPELINE_"):
        load_settings(None, environment={slip: "1"})


@pytest.mark.parametrize("other", ["PIPELINE_SERVICE_HOST", "PIPELINE_PORT_6066_TCP", "PIPELINE_WEB_SERVICE_PORT", "PIPELINE_X"])
def test_variables_of_others_are_left_to_them(other: str) -> None:
    assert load_settings(None, environment={other: "tcp://10.0.0.1:6066"}) == Settings()


@pytest.mark.parametrize("name", ["events_out", "outcomes", "outcomes_billing", "dead_letters"])
def test_a_topic_is_for_one_thing(name: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"events_in and {name} are the same topic, ingest-events"):
        load_settings(write(tmp_path, f'[kafka]\n{name} = "ingest-events"'), environment={})
    load_settings(write(tmp_path, '[kafka]\noutcomes_billing = "outcomes"'), environment={})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[kafka]\ncompression = "lz5"', r"kafka\.compression: .*'lz5'; it is one of none, gzip, snappy, lz4, zstd"),
        ('[kafka]\nbroker = "x"', r"kafka\.broker: no such setting; did you mean brokers\?"),
        ("[kafkas]", r"kafkas: no such setting; did you mean kafka\?"),
        ('[quotas]\nduplicates = "x"', r"quotas\.duplicates: .*; it is one of true, false"),
        ("rules = 5", "rules: Expected `str`, got `int`$"),
    ],
)
def test_a_mistake_says_what_would_be_right(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings(write(tmp_path, text), environment={})


def test_an_empty_slot_is_none_of_a_workers() -> None:
    with pytest.raises(SettingsError, match=r"PIPELINE_SLOT: .*kafka\.slot"):
        load_settings(None, environment={"PIPELINE_SLOT": ""})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        load_settings(tmp_path / "nowhere.toml", environment={})


def test_a_file_nested_without_end_is_refused_like_any_other_mistake(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("a = " + "[" * 100_000)
    with pytest.raises(SettingsError, match=r"settings\.toml"):
        load_settings(file)
