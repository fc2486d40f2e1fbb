"""Real processes, real signals: killed, told to stop, started again. `test_cut_off.py` has launchers and hosts."""

import signal

import pytest
from exact_runs import STEPS, assert_identical, command, outcome
from forked import Blow, Group

STEP = "nlptl.training.step:OptimizerStep.take"
MICRO_BATCH = "nlptl.training.examples.labelled:LabelledExamples.losses"
EPOCH_ENDS = "nlptl.training.loop:judge"
WRITING = "nlptl.storage.atomic:_flush"

REFIT = {"training.refit": True}
CASES = {
    # 16 rows in parts of 5 are 4 forward passes a step; two processes have 8 rows, so 2.
    "full, inside an accumulation window, then inside a save": (
        1,
        ["--mode", "full", "--strategy", "fine_tune"],
        {},
        [Blow(MICRO_BATCH, 4 * 4 + 3), Blow(WRITING, 8)],
    ),
    "lora on two, in a step, then as an epoch ends": (
        2,
        ["--mode", "lora"],
        {},
        [Blow(STEP, 4), Blow(EPOCH_ENDS, 1)],
    ),
    "contrastive from few labels, in training, then in its refit": (
        1,
        ["--mode", "full", "--shots", "20"],
        REFIT,
        [Blow(STEP, 4), Blow(STEP, 9 - 2 + 4)],
    ),
    "contrastive on two, as an epoch ends, then in a save": (
        2,
        ["--mode", "full", "--strategy", "contrastive"],
        {},
        [Blow(EPOCH_ENDS, 2), Blow(WRITING, 3, rank=0)],
    ),
    "frozen, before its head": (
        1,
        ["--mode", "feature_extraction"],
        {},
        [
            Blow("nlptl.strategies.fine_tune:fit_head", 1),
            Blow("nlptl.strategies.pipeline:save_run", 1),
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_killed_twice_and_resumed_is_bit_for_bit_the_same(tiny, obvious, tmp_path, case):
    count, more, settings, blows = CASES[case]

    def group(name: str, blow: Blow | None = None) -> Group:
        arguments = [*command(obvious, tiny["bert"], tmp_path / name, **settings), *more]
        return Group(arguments, tmp_path / f"{name}.log", tmp_path / f"{name}-cache", count, blow)

    whole = group("whole")
    assert whole.wait() == [0] * count, whole.said()
    for blow in blows:
        struck = group("killed", blow)
        codes = set(struck.wait())
        # 76: a process that lives on notices that the others are gone.
        assert -signal.SIGKILL in codes and codes <= {-signal.SIGKILL, 76}, f"{blow}: {codes}\n{struck.said()}"
    resumed = group("killed")
    assert resumed.wait() == [0] * count, resumed.said()
    assert ("Going on after step" in resumed.said()) == ("frozen" not in case)
    assert_identical(tmp_path / "killed", tmp_path / "whole")


def test_a_told_run_ends_with_its_own_code_and_goes_on_with_other_processes(tiny, obvious, tmp_path):
    """Both processes stop for a signal that one of them got; one alone goes on, with the same rows."""
    output, more = tmp_path / "run", ["--mode", "full", "--strategy", "fine_tune"]
    arguments = [*command(obvious, tiny["bert"], output), *more]
    told = Group(arguments, tmp_path / "told", tmp_path / "cache", 2, Blow(STEP, 3, signal.SIGUSR1, rank=1))
    assert told.wait() == [75, 75], told.said()
    assert "stopped the training after step 3" in told.said()
    assert "To resume, give the same command" in told.said()
    alone = Group(arguments, tmp_path / "alone", tmp_path / "cache")
    assert alone.wait() == [0], alone.said()
    assert "not bit for bit" in alone.said()
    assert outcome(output)["steps"] == len(outcome(output)["losses"]) == STEPS
