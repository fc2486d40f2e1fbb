"""Signals, memory and numbers inside one process; `tests/training/test_processes.py` has the real processes."""

import os
import signal
import threading

import numpy as np
import pytest
import torch

from nlptl.errors import NlptlError, Preempted
from nlptl.objectives.classification import Classification
from nlptl.training.resume.preemption import SIGNALS, StopFlag
from nlptl.training.resume.states import StateFolder


class Signalled(Classification):
    """The usual objective, which sends this process a signal at a call."""

    def __init__(self, call: int, number: int) -> None:
        super().__init__()
        self.left, self.number = call, number

    def __call__(self, logits, targets):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.number)
        return super().__call__(logits, targets)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_a_step_saves_the_state_and_gives_the_handlers_back(learn, fresh, tmp_path, number):
    whole = learn(epochs=2, dropout=0.2).progress
    before = [signal.getsignal(known) for known in SIGNALS]
    state = StateFolder(tmp_path / "state")
    with pytest.raises(Preempted, match=f"{signal.Signals(number).name} stopped .* step 3.*--resume") as caught:
        learn(Signalled(3, number), fresh(dropout=0.2), epochs=2, state=state)
    assert caught.value.exit_code == 75
    assert [signal.getsignal(known) for known in SIGNALS] == before
    assert [path.name for path in state.states()] == ["step-0000003"]
    assert learn(epochs=2, dropout=0.2, state=state).progress.losses == whole.losses


def test_a_signal_in_validation_saves_the_state_and_validates_again_later(learn, tmp_path):
    state, asked = StateFolder(tmp_path / "state"), []

    def judge(_) -> dict[str, float]:
        asked.append(1)
        if len(asked) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return {"accuracy": 0.5, "loss": 1.0}

    with pytest.raises(Preempted, match="after step 5"):
        learn(epochs=2, evaluate=judge, state=state)
    progress = learn(epochs=2, evaluate=judge, state=state).progress
    assert [entry["epoch"] for entry in progress.epochs] == [0, 1, 2]


def test_without_a_state_folder_signals_do_what_they_did(learn):
    # A shell that starts the tests in the background has them ignore SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            learn(Signalled(2, signal.SIGINT), epochs=1)
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_no_handler_is_touched():
    before, seen = signal.getsignal(signal.SIGTERM), []

    def listen() -> None:
        with StopFlag().listening():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert seen == [before]


class Greedy(Classification):
    """Runs out of memory with more rows than fit."""

    def __init__(self, fit: int) -> None:
        super().__init__()
        self.fit, self.asked = fit, []

    def __call__(self, logits, targets):
        self.asked.append(len(targets))
        if len(targets) > self.fit:
            raise torch.OutOfMemoryError("injected")
        return super().__call__(logits, targets)


def test_out_of_memory_halves_the_micro_batch_and_changes_nothing_else(learn, tmp_path, caplog):
    whole = learn(epochs=1).progress
    greedy, state = Greedy(5), StateFolder(tmp_path / "state")
    found = learn(greedy, epochs=1, state=state, save_every=2).progress
    assert found.micro_batch_size == 4
    np.testing.assert_allclose(found.losses, whole.losses, atol=1e-5)
    assert [rows for rows in greedy.asked if rows > 5] == [16, 8]
    assert "going on with 4, on every process" in caplog.text
    again = Greedy(5)  # the size is in the state: nobody runs out of memory a second time
    learn(again, epochs=2, state=state)
    assert again.asked and max(again.asked) <= 4


def test_one_row_that_does_not_fit_is_said(learn):
    with pytest.raises(NlptlError, match="one row per forward pass"):
        learn(Greedy(0), epochs=1)
