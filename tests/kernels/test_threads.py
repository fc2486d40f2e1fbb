"""Threads follow the cores that other programs leave free, and come back."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest
import torch

from nlptl.kernels import threads
from nlptl.kernels.threads import FreeCores, one_thread
from nlptl.training.runtime import local_runtime, start_runtime


@pytest.fixture
def four(monkeypatch):
    """A process of four threads, on a machine with as many free cores as the test says."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    clock = {"now": 0.0, "available": 0.0}
    monkeypatch.setattr(threads.time, "monotonic", lambda: clock["now"])
    monkeypatch.setattr(threads, "_available_seconds", lambda: clock["available"])
    monkeypatch.setattr(threads, "_usable_cores", lambda: 4)

    def passes(free: float, seconds: float = 2.0) -> None:
        clock["now"] += seconds
        clock["available"] += free * seconds

    yield passes
    torch.set_num_threads(before)


def test_threads_follow_the_free_cores_and_come_back(four, caplog):
    caplog.set_level(logging.INFO, "nlptl")
    cores = FreeCores()
    with cores.followed():
        cores.look()
        assert torch.get_num_threads() == 4
        seen = []
        for free in (4.0, 2.3, 1.4, 0.2, 3.1, 4.0):
            four(free)
            cores.look()
            seen.append(torch.get_num_threads())
        assert seen == [4, 2, 1, 1, 3, 4]
        four(1.0)
        cores.look()
    assert torch.get_num_threads() == 4
    assert caplog.messages == ["Other programs keep cores busy: computing with 2 of 4 threads meanwhile"]


def test_it_looks_rarely_and_within_other_work_goes_on(four):
    cores = FreeCores()
    with cores.followed():
        cores.look()
        four(1.0, seconds=1.0)
        cores.look()
        assert torch.get_num_threads() == 4  # too soon
        with cores.followed():
            four(1.0)
            cores.look()
        assert torch.get_num_threads() == 1  # the outer work still follows


def test_a_number_that_the_caller_sets_later_is_kept(four):
    cores = FreeCores()
    torch.set_num_threads(2)
    with cores.followed():
        for _ in range(3):
            cores.look()
            four(4.0)
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("how", ["number", "variable", "deterministic"])
def test_what_is_fixed_stays(four, monkeypatch, how):
    if how == "variable":
        monkeypatch.setenv("OMP_NUM_THREADS", "4")
    if how == "deterministic":
        cores = start_runtime("fp32", deterministic=True).cores
        torch.use_deterministic_algorithms(False)
    else:
        cores = FreeCores(3 if how == "number" else None)
    with cores.followed():
        for _ in range(3):
            cores.look()
            four(1.0)
    assert torch.get_num_threads() == (3 if how == "number" else 4)


def test_a_containers_limit_counts(four, monkeypatch):
    monkeypatch.setattr(threads, "_usable_cores", lambda: 2)
    cores = FreeCores()
    with cores.followed():
        cores.look()
        four(4.0)
        cores.look()
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("written", "cores"), [("150000 100000", 2), ("max 100000", 8), ("1000 100000", 1), (None, 8)])
def test_the_limit_is_read_as_linux_writes_it(monkeypatch, tmp_path, written, cores):
    monkeypatch.setattr(threads, "QUOTAS", tmp_path)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(8)))
    if written:
        (tmp_path / "cpu.max").write_text(f"{written}\n")
    assert threads._usable_cores() == cores


def test_real_figures_of_this_machine():
    first = threads._available_seconds()
    sum(i * i for i in range(300_000))
    assert threads._available_seconds() >= first
    assert 1 <= threads._usable_cores() <= (os.cpu_count() or 1)
    assert local_runtime("fp32").cores.most >= 1


def test_one_thread_is_for_as_long_as_it_lasts():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_waiting_threads_spin_briefly_unless_the_user_says_otherwise(given, expected):
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import nlptl, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env={**environment, **given}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
