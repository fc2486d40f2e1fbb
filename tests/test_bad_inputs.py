import os
import re
import subprocess
import sys

import pytest
from bad_inputs import CASES, UGLY, Case, Ground, lay_ground, run_case

# One that ends behind torch, and two before it; a process for each of the others would test Python, not nlptl.
REAL = ("empty file", "unknown mode", "a configuration that is a list")


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> Ground:
    return lay_ground(tmp_path_factory.mktemp("ground"))


def test_the_table_is_long_and_its_names_differ():
    assert len(CASES) >= 60
    assert len({case.name for case in CASES + UGLY}) == len(CASES + UGLY)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_bad_input_is_one_message_and_leaves_nothing(case: Case, ground, tmp_path):
    outcome = run_case(case, tmp_path, ground)
    assert outcome.fault() is None, f"{outcome.fault()}\n{outcome.error}"
    assert outcome.code == 2
    assert re.search(case.message, outcome.error), outcome.error


@pytest.mark.parametrize("case", UGLY, ids=lambda case: case.name)
def test_an_ugly_input_works(case: Case, ground, tmp_path):
    outcome = run_case(case, tmp_path, ground)
    assert outcome.code == 0, outcome.error
    assert re.search(case.message, outcome.out), outcome.out


@pytest.mark.parametrize("name", REAL)
def test_in_a_process_of_its_own(name, ground, tmp_path):
    case = next(case for case in CASES if case.name == name)
    case.prepare(tmp_path, ground)
    before = sorted(tmp_path.rglob("*"))
    command = [sys.executable, "-m", "nlptl", *ground.filled(case.arguments)]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr + done.stdout
    assert re.search(case.message, done.stderr)
    assert sorted(tmp_path.rglob("*")) == before
