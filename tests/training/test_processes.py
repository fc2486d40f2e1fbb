"""Real processes, real signals: killed, told to stop, cut off, started again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

SETTINGS = {
    "training.epochs": 3,
    "training.batch_size": 16,
    "training.micro_batch_size": 5,
    "training.learning_rate": 3e-3,
    "training.save_every": 1,
    "model.dropout": 0.1,
    "model.head_start": "random",
    "runtime.precision": "fp32",
    "runtime.deterministic": True,
    "runtime.progress": False,
    "runtime.timeout_seconds": 20,
}
LAUNCH = ["-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--main_process_port", "0"]
WAIT = 240


def command(data: Path, checkpoint: str, output: Path, launcher: list[str], **settings) -> list[str]:
    chosen = [part for key, value in {**SETTINGS, **settings}.items() for part in ("--set", f"{key}={value}")]
    given = ["train", "sentiment", "--data", str(data), "--checkpoint", checkpoint, "--output", str(output)]
    return [sys.executable, *launcher, "-m", "nlptl", *given, *chosen]


def processes(count: int, *more: str) -> list[str]:
    return [] if count == 1 else [*LAUNCH, "--num_processes", str(count), *more]


def start(arguments: list[str], cache: Path) -> subprocess.Popen:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ACCELERATE_", "TORCHELASTIC"))}
    own |= {"ACCELERATE_USE_CPU": "1", "NLPTL_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        arguments, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(arguments: list[str], cache: Path) -> str:
    process = start(arguments, cache)
    said, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 0, said
    return said


def wait_for_step(output: Path, step: int) -> None:
    until = time.monotonic() + WAIT
    while time.monotonic() < until:
        if any(int(path.name[5:]) >= step for path in (output / "state").glob("step-*")):
            return
        time.sleep(0.02)
    pytest.fail(f"no state of step {step} came")


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def outcome(output: Path) -> dict:
    metrics = json.loads((output / "metrics.json").read_text())
    return {key: metrics[key] for key in ("test", "validation")} | {
        key: metrics["training"][key] for key in ("losses", "epochs", "best_epoch", "steps")
    }


def assert_identical(found: Path, expected: Path) -> None:
    assert outcome(found) == outcome(expected)
    files = sorted(path.relative_to(expected) for path in (expected / "model").rglob("*.safetensors"))
    assert files
    for file in files:
        ours, theirs = load_file(found / file), load_file(expected / file)
        assert all(np.array_equal(ours[name], tensor) for name, tensor in theirs.items()), file


@pytest.mark.parametrize(("count", "mode"), [(1, "full"), (2, "lora")])
def test_killed_twice_and_resumed_is_bit_for_bit_the_same(tiny, obvious, tmp_path, count, mode):
    def arguments(name: str) -> list[str]:
        return [*command(obvious, tiny["bert"], tmp_path / name, processes(count)), "--mode", mode]

    finish(arguments("whole"), tmp_path / "cache")
    for step in (2, 7):
        process = start(arguments("killed"), tmp_path / "cache")
        wait_for_step(tmp_path / "killed", step)
        os.killpg(process.pid, signal.SIGKILL)
        for rank in children_of(process.pid) if process.poll() is None else []:
            os.kill(rank, signal.SIGKILL)
        process.communicate()
    said = finish(arguments("killed"), tmp_path / "cache")
    assert "Going on after step" in said
    assert_identical(tmp_path / "killed", tmp_path / "whole")


def test_a_told_run_ends_with_its_own_code_and_goes_on_with_other_processes(tiny, obvious, tmp_path):
    output = tmp_path / "run"
    process = start(command(obvious, tiny["bert"], output, []), tmp_path / "cache")
    wait_for_step(output, 2)
    process.send_signal(signal.SIGUSR1)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert "SIGUSR1 stopped the training" in said and "To resume, give the same command" in said
    said = finish(command(obvious, tiny["bert"], output, processes(2)), tmp_path / "cache")
    assert "not bit for bit" in said
    assert outcome(output)["steps"] == len(outcome(output)["losses"]) == 15


def test_a_killed_rank_ends_the_others_and_a_restarted_group_goes_on(tiny, obvious, tmp_path):
    output = tmp_path / "run"
    launcher = processes(2, "--max_restarts", "1")
    process = start(command(obvious, tiny["bert"], output, launcher), tmp_path / "cache")
    wait_for_step(output, 3)
    os.kill(children_of(process.pid)[-1], signal.SIGKILL)
    said, _ = process.communicate(timeout=WAIT)
    assert process.returncode == 0, said
    assert "Going on after step" in said
    assert outcome(output)["steps"] == 15


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
    def run(cache: str) -> list[subprocess.Popen]:
        started = []
        for rank, (name, cable) in enumerate(hosts):
            launcher = [*LAUNCH[:-1], "29511", "--num_processes", "2", "--num_machines", "2"]
            launcher += ["--machine_rank", str(rank), "--main_process_ip", "10.77.0.1"]
            # The second host has a folder of its own: it shares no disk with the first.
            inner = command(obvious, tiny["bert"], tmp_path / f"host{rank}", launcher)
            own = ["ip", "netns", "exec", name, "env", f"GLOO_SOCKET_IFNAME={cable}", *inner]
            started.append(start(own, tmp_path / f"{cache}{rank}"))
        return started

    first = run("cache")
    wait_for_step(tmp_path / "host0", 3)
    ip("-n", hosts[1][0], "link", "set", hosts[1][1], "down")
    said = first[0].communicate(timeout=WAIT)[0]
    assert first[0].returncode != 0
    assert "lost the other processes" in said
    os.killpg(first[1].pid, signal.SIGKILL)
    first[1].communicate()
    ip("-n", hosts[1][0], "link", "set", hosts[1][1], "up")
    second = run("cache")
    said = second[0].communicate(timeout=WAIT)[0]
    second[1].communicate(timeout=WAIT)
    assert [process.returncode for process in second] == [0, 0], said
    assert "Going on after step" in said
    assert outcome(tmp_path / "host0")["steps"] == 15
