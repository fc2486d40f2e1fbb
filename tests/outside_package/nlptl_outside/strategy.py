"""A strategy: fine-tuning that leaves a section of its own in metrics.json."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nlptl.strategies import fine_tune
from nlptl.strategies.catalogue import Strategy

NOTED_FINE_TUNE = Strategy(__name__, trains_encoder=True)


def learn(job: Any, state: Any) -> Any:
    trained = fine_tune.learn(job, state)
    return replace(trained, facts={**trained.facts, "outside": {"strategy": "noted_fine_tune"}})
