from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.model.errors import SettingsError
from pipeline.observability.prometheus_metrics import WorkerMetrics
from pipeline.rules.folder import RulesFolder
from pipeline.settings.schema import KafkaSettings, Settings
from pipeline.wiring.worker import make_worker

RULES = Path(__file__).parents[3] / "rules"


@pytest.mark.parametrize(
    ("settings", "named"),
    [(Settings(), "PIPELINE_REDIS_URL"), (Settings(kafka=KafkaSettings(static_membership=True)), "PIPELINE_SLOT")],
)
def test_a_worker_says_which_setting_it_misses(settings: Settings, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        make_worker(settings, RulesFolder(RULES), WorkerMetrics())
