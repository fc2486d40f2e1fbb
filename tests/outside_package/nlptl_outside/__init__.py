"""One thing of each kind that can be added to nlptl."""

from pathlib import Path

TASKS = Path(__file__).parent / "tasks"
