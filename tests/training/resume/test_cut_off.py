"""Real launchers: a rank is killed, all are killed with their launcher, the cable between two hosts is cut."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from exact_runs import STEPS, assert_identical, command, outcome
from forked import WAIT, Blow, Group, launched

LAUNCH = ["-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--num_processes", "2"]
STEP = "nlptl.training.step:OptimizerStep.take"
FULL = ["--mode", "full", "--strategy", "fine_tune"]


def start(arguments: list[str], cache: Path, **environment: str) -> subprocess.Popen:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ACCELERATE_", "TORCHELASTIC"))}
    own |= {"ACCELERATE_USE_CPU": "1", "NLPTL_CACHE": str(cache), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(arguments, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_killed_rank_ends_the_others_and_a_restarted_group_goes_on(tiny, obvious, tmp_path):
    output = tmp_path / "run"
    launcher = [*LAUNCH, "--main_process_port", "0", "--max_restarts", "1"]
    arguments = [*command(obvious, tiny["bert"], output), *FULL]
    process = start(launched(Blow(STEP, 4, signal.SIGKILL, 1), launcher, arguments), tmp_path / "cache")
    said, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 0, said
    assert "Going on after step 2" in said
    assert outcome(output)["steps"] == len(outcome(output)["losses"]) == STEPS


def ranks_of(launcher: int) -> list[int]:
    return [int(rank) for rank in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()]


def wait_for(state: Path) -> None:
    until = time.monotonic() + WAIT
    while not state.is_dir():
        assert time.monotonic() < until, f"{state} never came"
        time.sleep(0.05)


def test_a_launched_group_that_was_killed_goes_on_bit_for_bit(tiny, obvious, tmp_path):
    """Launcher and ranks die at once within an epoch, long before the last of them; then the command is repeated."""
    settings = {"training.epochs": 12, "training.save_every": 7}

    def arguments(name: str) -> list[str]:
        return [*command(obvious, tiny["bert"], tmp_path / name, **settings), *FULL]

    whole = Group(arguments("whole"), tmp_path / "log", tmp_path / "cache", 2)
    assert whole.wait() == [0, 0], whole.said()
    launch = [sys.executable, *LAUNCH, "--main_process_port", "0", "-m", "nlptl", *arguments("killed")]
    killed = start(launch, tmp_path / "cache")
    wait_for(tmp_path / "killed" / "state" / "step-0000007")
    for process in (killed.pid, *ranks_of(killed.pid)):
        os.kill(process, signal.SIGKILL)
    killed.communicate(timeout=WAIT)
    resumed = start(launch, tmp_path / "cache")
    said, _ = resumed.communicate(timeout=WAIT)
    assert resumed.returncode == 0, said
    assert "Going on after step" in said
    assert_identical(tmp_path / "killed", tmp_path / "whole")


def ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"network namespaces are not permitted here: {done.stderr.strip()}")


@pytest.fixture
def hosts():
    """Two network namespaces joined by a cable."""
    if shutil.which("ip") is None:
        pytest.skip("there is no ip command here")
    names = [f"nlptl-{os.getpid()}-{side}" for side in "ab"]
    cables = [f"nl{os.getpid() % 10**6}{side}" for side in "ab"]
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", cables[0], "netns", names[0], "type", "veth", "peer", "name", cables[1], "netns", names[1])
        for number, (name, cable) in enumerate(zip(names, cables, strict=True), start=1):
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", cable)
            ip("-n", name, "link", "set", cable, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield list(zip(names, cables, strict=True))
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def test_two_hosts_train_notice_a_cut_cable_and_go_on(hosts, tiny, obvious, tmp_path):
    def arguments(rank: int) -> list[str]:
        # The second host has a folder of its own: it shares no disk with the first.
        given = command(obvious, tiny["bert"], tmp_path / f"host{rank}", **{"runtime.timeout_seconds": 20})
        return [*given, *FULL]

    started = []
    for rank, (name, cable) in enumerate(hosts):
        launcher = [*LAUNCH, "--main_process_port", "29511", "--num_machines", "2", "--machine_rank", str(rank)]
        launcher += ["--main_process_ip", "10.77.0.1"]
        # It waits for its cable to be cut: a rank as small as this would be done before.
        inner = launched(Blow(STEP, 5, signal.SIGSTOP, 1), launcher, arguments(rank))
        own = ["ip", "netns", "exec", name, *inner]
        started.append(start(own, tmp_path / f"cache{rank}", GLOO_SOCKET_IFNAME=cable))
    try:
        wait_for(tmp_path / "host0" / "state" / "step-0000004")
        ip("-n", hosts[1][0], "link", "set", hosts[1][1], "down")
        os.kill(ranks_of(started[1].pid)[-1], signal.SIGCONT)
        said = started[0].communicate(timeout=WAIT)[0]
        assert started[0].returncode != 0
        assert "lost the other processes" in said
    finally:
        for rank in ranks_of(started[1].pid):
            os.kill(rank, signal.SIGKILL)
        started[1].kill()
        started[1].communicate()
    ip("-n", hosts[1][0], "link", "set", hosts[1][1], "up")
    # Started again by hand, as a scheduler that knows the ranks would.
    again = []
    for rank, (name, cable) in enumerate(hosts):
        place = {"MASTER_ADDR": "10.77.0.1", "MASTER_PORT": "29511", "WORLD_SIZE": "2", "RANK": str(rank)}
        own = ["ip", "netns", "exec", name, sys.executable, "-m", "nlptl", *arguments(rank)]
        again.append(start(own, tmp_path / f"cache{rank}", GLOO_SOCKET_IFNAME=cable, LOCAL_RANK="0", **place))
    said = [process.communicate(timeout=WAIT)[0] for process in again]
    assert [process.returncode for process in again] == [0, 0], said
    assert "Going on after step 4" in said[0]
    assert outcome(tmp_path / "host0")["steps"] == STEPS
