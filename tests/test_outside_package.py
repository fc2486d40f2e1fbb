"""An outside package adds one thing of each kind, and touches no file of nlptl.

`outside_package/` is installed into a folder of its own; every question is asked in a process that has the folder on
its path, or has not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parent / "outside_package"
ADDED = {
    "mode": "biases",
    "strategy": "noted_fine_tune",
    "objective": "gentle_masked_lm",
    "metric": "balanced_accuracy",
    "decision policy": "cautious",
    "baseline": "nearest_centroid",
    "form of a fitted baseline": "centroids",
}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed the package into."""
    folder = tmp_path_factory.mktemp("installed")
    quiet = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation")
    subprocess.run([sys.executable, "-m", "pip", "install", *quiet, "--target", folder, SOURCE], check=True)
    assert (folder / "nlptl_outside-1.2.dist-info" / "entry_points.txt").is_file()
    return folder


def ask(code: str, package: Path | None, **given: str) -> Any:
    """What a Python process prints as JSON in its last line."""
    paths = [str(package)] if package else []
    paths += [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    environment = {**os.environ, **given, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "250", "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


REGISTERED = """
import json, sys
from nlptl.errors import ConfigError
from nlptl.registry import REGISTRIES
from nlptl.tasks import find_tasks

def refused(registry):
    try:
        registry.check("no such thing")
    except ConfigError as error:
        return str(error)

told = {
    kind: [registry.names(), [registry.help(name) for name in registry], refused(registry)]
    for kind, registry in REGISTRIES.items()
}
heavy = {"torch", "transformers", "sklearn", "evaluate"} & set(sys.modules)
outside = sorted(name for name in sys.modules if name.startswith("nlptl_outside"))
print(json.dumps([told, sorted(heavy), outside, find_tasks().names()]))
"""


def test_every_kind_lists_names_and_help_without_importing_anything(installed):
    told, heavy, imported, tasks = ask(REGISTERED, installed)
    for kind, name in ADDED.items():
        names, helps, refused = told[kind]
        assert name in names
        assert "of the package nlptl-outside" in helps
        assert name in refused
    assert (heavy, imported) == ([], [])
    assert "tickets" in tasks
    bare, _, _, tasks = ask(REGISTERED, None)
    assert not [kind for kind, name in ADDED.items() if name in bare[kind][0]]
    assert "tickets" not in tasks


HELP = """
import json
from typer.testing import CliRunner
from nlptl.cli import app
verbs = ("train", "baseline", "pretrain", "adapt")
print(json.dumps({verb: CliRunner().invoke(app, [verb, "--help"]).output for verb in verbs}))
"""


def test_the_command_lines_help_lists_what_is_installed(installed):
    told = {verb: " ".join(text.split()) for verb, text in ask(HELP, installed).items()}
    assert "biases" in told["train"]
    assert "noted_fine_tune" in told["train"]
    assert "biases" in told["adapt"]
    assert "nearest_centroid" in told["baseline"]
    assert "gentle_masked_lm" in told["pretrain"]


MAKE = """
import json, os
from pathlib import Path
import nlptl
from nlptl.errors import NlptlError
root, tiny = Path(os.environ["ROOT"]), os.environ["TINY"]
quick = {"runtime.progress": False, "runtime.precision": "fp32"}

def refused(call, **given):
    try:
        call(**given)
    except NlptlError as error:
        return str(error)

told = [
    refused(nlptl.train, task="tickets", mode="biasses", output=root / "no"),
    refused(nlptl.train, task="tickets", strategy="noted_fine_tun", output=root / "no"),
    refused(nlptl.train, task="tickets", mode="feature_extraction", strategy="noted_fine_tune", output=root / "no"),
    refused(nlptl.train, task="tickets", mode="biases", output=root / "no", settings={"model.weights": "random"}),
    refused(nlptl.train_baseline, task="tickets", model="nearest_centroids", output=root / "no"),
    refused(nlptl.pretrain, texts=["a"] * 40, checkpoint=tiny, objective="gentle_masked", output=root / "no"),
]
texts = [f"the {word} in round {i}" for i in range(30) for word in ("book", "film")]
pretrained = nlptl.pretrain(
    texts=texts, checkpoint=tiny, objective="gentle_masked_lm", steps=3, output=root / "encoder", settings=quick
)
run = nlptl.train(
    "tickets",
    mode="biases",
    strategy="noted_fine_tune",
    checkpoint=str(pretrained),
    output=root / "run",
    settings={**quick, "model.head_start": "random", "training.head_learning_rate": 1e-2},
)
baseline = nlptl.train_baseline("tickets", model="nearest_centroid", output=root / "baseline", settings=quick)
answers = {}
for name, one in (("run", run), ("baseline", baseline)):
    texts = ["how do i pay the bill", "you failed to send the card", "bill"]
    answers[name] = [[p.label, p.score] for p in one.predict(texts)]
print(json.dumps({"told": told, "answers": answers, "left": sorted(p.name for p in root.iterdir())}))
"""
OPEN = """
import json, os
from pathlib import Path
import nlptl
root = Path(os.environ["ROOT"])
found = {}
for name in ("run", "baseline"):
    one = nlptl.load(root / name, precision="fp32")
    texts = ["how do i pay the bill", "you failed to send the card", "bill"]
    answers = [[p.label, p.score] for p in one.predict(texts)]
    test = one.evaluate(Path(os.environ["DATA"]) / "test.csv")
    found[name] = [answers, test, one.metrics, one.artifact.config.model_dump(mode="json"), one.artifact.manifest]
print(json.dumps(found))
"""
REFUSE = """
import json, os
from pathlib import Path
import nlptl
from nlptl.errors import NlptlError
told = {}
for name in ("run", "baseline", "twin"):
    try:
        nlptl.load(Path(os.environ["ROOT"]) / name)
        told[name] = None
    except NlptlError as error:
        told[name] = [type(error).__name__, str(error)]
print(json.dumps(told))
"""
BY_DECORATOR = """
import json, os
from pathlib import Path
import nlptl
import nlptl_outside.by_decorator
from nlptl.tasks import TaskSpec, register_task
register_task(TaskSpec(name="asked", description="d", labels=["question", "complaint"], metrics=["error_rate"]))
root, data = Path(os.environ["ROOT"]), Path(os.environ["DATA"])
settings = {"runtime.progress": False, "runtime.precision": "fp32"}
run = nlptl.train(
    "asked", data=data, mode="frozen_twin", checkpoint=os.environ["TINY"], output=root / "twin", settings=settings
)
again = nlptl.load(run.folder).evaluate(data / "test.csv")
print(json.dumps([run.metrics["test"], again, run.artifact.manifest["packages"]]))
"""


@pytest.fixture(scope="module")
def made(installed, tiny, tmp_path_factory) -> tuple[dict[str, str], dict[str, Any]]:
    """Runs of everything that the package adds; where they lie, and what was said of them."""
    data = str(SOURCE / "nlptl_outside" / "tasks" / "tickets")
    given = {"ROOT": str(tmp_path_factory.mktemp("made")), "TINY": tiny["bert"], "DATA": data}
    return given, ask(MAKE, installed, **given)


def test_what_is_mistyped_or_does_not_fit_is_refused_in_words(made):
    mode, strategy, frozen, random, baseline, objective = made[1]["told"]
    assert "Did you mean 'biases'?" in mode
    assert "Did you mean 'noted_fine_tune'?" in strategy
    assert "'noted_fine_tune' trains the encoder; mode 'feature_extraction' freezes it" in frozen
    assert "cannot be trained in mode 'biases'" in random
    assert "Did you mean 'nearest_centroid'?" in baseline
    assert "Did you mean 'gentle_masked_lm'?" in objective
    assert made[1]["left"] == ["baseline", "encoder", "run"]


def test_runs_of_the_package_open_and_answer_the_same_in_a_new_process(made, installed):
    given, said = made
    found = ask(OPEN, installed, **given)
    for name, (answers, test, metrics, _config, _manifest) in found.items():
        assert answers == said["answers"][name]
        assert metrics["test"]["decided"] == test["decided"]
        assert test["balanced_accuracy"] == metrics["test"]["balanced_accuracy"]
        assert {"policy": "cautious", "note": "cautious was fitted"}.items() <= test["decided"].items()
        assert "answered" in test["decided"]
        decision = json.loads((Path(given["ROOT"]) / name / "decision.json").read_text())
        assert (decision["floor"], decision["label"]) == (0.6, "ask a human")
    config, manifest = found["run"][3:]
    assert (config["mode"], config["strategy"]) == ("biases", "noted_fine_tune")
    assert config["training"]["epochs"] == 3, "the task's default for the mode"
    assert config["training"]["learning_rate"] == 3e-3, "the mode's own default"
    assert found["run"][2]["outside"] == {"strategy": "noted_fine_tune"}
    assert found["run"][2]["model"]["trainable_parameters"] < found["run"][2]["model"]["parameters"] / 4
    noted = {(part["kind"], part["name"]) for part in manifest["packages"]}
    assert noted == {(kind, ADDED[kind]) for kind in ("mode", "strategy", "decision policy")}
    assert {(part["package"], part["version"]) for part in manifest["packages"]} == {("nlptl-outside", "1.2")}
    noted = {(part["kind"], part["name"]) for part in found["baseline"][4]["packages"]}
    assert noted == {(kind, ADDED[kind]) for kind in ("baseline", "decision policy")}


@pytest.fixture(scope="module")
def twin(made, installed) -> Any:
    """A run of what a program registered by decorator."""
    return ask(BY_DECORATOR, installed, **made[0])


def test_what_a_program_registers_by_decorator_works_as_well(twin):
    test, again, packages = twin
    assert test["error_rate"] == again["error_rate"] == pytest.approx(1 - test["accuracy"])
    assert packages == [
        {"kind": "mode", "name": "frozen_twin", "package": "nlptl_outside.by_decorator", "version": None}
    ]


def test_without_the_package_a_run_says_which_one_is_missing(made, twin):
    told = ask(REFUSE, None, **made[0])
    for name in ("run", "baseline"):
        kind, message = told[name]
        assert kind == "ArtifactError"
        assert "of the package nlptl-outside 1.2, which is not installed here" in message
        assert "pip install nlptl-outside==1.2" in message
    assert "the mode 'biases'" in told["run"][1]
    assert "the baseline 'nearest_centroid'" in told["baseline"][1]
    assert "Import the module that registers it first: nlptl_outside.by_decorator" in told["twin"][1]
