import subprocess

import pytest
import torch

from nlptl.errors import ArtifactError
from nlptl.training.resume import states as checkpointing
from nlptl.training.resume.states import Progress, Snapshot, StateFolder


def stepped(size: int = 3) -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    layer = torch.nn.Linear(size, 2)
    optimizer = torch.optim.AdamW(layer.named_parameters(), lr=0.1)
    for _ in range(2):
        layer(torch.ones(4, size)).square().sum().backward()
        optimizer.step()
    return layer, optimizer


@pytest.fixture
def saved(tmp_path):
    layer, optimizer = stepped()
    progress = Progress(7, 0.5, 1, 2, [1.0, 0.5], [{"epoch": 0, "accuracy": 0.5}], 3.5)
    weights = {name: p.detach() for name, p in layer.named_parameters()}
    best = {name: tensor + 1 for name, tensor in weights.items()}
    state = StateFolder(tmp_path / "run" / "state")
    state.save(Snapshot.take(weights, best, optimizer, progress))
    return state, weights, best, optimizer, progress


def test_what_was_saved_is_loaded(saved):
    state, weights, best, optimizer, progress = saved
    other = torch.optim.AdamW(torch.nn.Linear(3, 2).named_parameters(), lr=0.1)
    snapshot = state.read()
    snapshot.restore(other)
    assert snapshot.progress == progress
    for name in weights:
        assert torch.equal(snapshot.weights[name], weights[name])
        assert torch.equal(snapshot.best[name], best[name])
    before, after = optimizer.state_dict()["state"], other.state_dict()["state"]
    assert before.keys() == after.keys()
    for index, moments in before.items():
        assert all(torch.equal(moments[name], after[index][name]) for name in ("step", "exp_avg", "exp_avg_sq"))


def test_the_newest_states_are_kept_and_nothing_else(saved):
    state, weights, best, optimizer, _ = saved
    for step in (8, 9, 10):
        state.save(Snapshot.take(weights, best, optimizer, Progress(step)), keep=2)
    assert state.read().progress.step == 10
    assert sorted(path.name for path in state.folder.iterdir()) == ["step-0000009", "step-0000010"]


def test_a_save_that_breaks_off_leaves_the_last_state(saved, monkeypatch):
    state, weights, best, optimizer, _ = saved

    def full_disk(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpointing, "save_file", full_disk)
        with pytest.raises(ArtifactError, match=r"No space left.*saved before is intact.*same command"):
            state.save(Snapshot.take(weights, best, optimizer, Progress(8)))
    assert [path.name for path in state.folder.iterdir()] == ["step-0000007"]
    assert state.read().progress.step == 7


def test_a_killed_save_leaves_the_last_state(saved):
    state = saved[0]
    (state.folder / ".part-step-0000008").mkdir()
    (state.folder / ".part-step-0000008" / "weights.safetensors").write_bytes(b"half")
    assert state.read().progress.step == 7
    assert [path.name for path in state.folder.iterdir()] == ["step-0000007"]


FILES = ["weights.safetensors", "best.safetensors", "optimizer.safetensors", "progress.json", "manifest.json"]
DAMAGE = {
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-10]),
    "deleted": lambda file: file.unlink(),
    "flipped": lambda file: file.write_bytes(bytes([file.read_bytes()[0] ^ 64]) + file.read_bytes()[1:]),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_state_is_named_and_the_one_before_is_used(saved, caplog, name, damage):
    state, weights, best, optimizer, _ = saved
    newer = state.save(Snapshot.take(weights, best, optimizer, Progress(8)))
    DAMAGE[damage](newer / name)
    assert state.read().progress.step == 7
    assert f"{newer} is damaged and left out: " in caplog.text
    state.save(Snapshot.take(weights, best, optimizer, Progress(8)))  # what was left out is in nobody's way
    assert state.read().progress.step == 8


def test_without_a_good_state_training_starts_over_and_says_so(saved, caplog):
    state, *_ = saved
    (state.folder / "step-0000007" / "progress.json").unlink()
    assert state.read() is None
    assert "starts over" in caplog.text


@pytest.mark.parametrize(("name", "size"), [("bias", 3), ("slope", 2)])
def test_moments_of_another_model_are_refused(saved, name, size):
    """Of another shape, or of no parameter that there is."""
    other = torch.optim.AdamW([("weight", torch.ones(2, 3)), (name, torch.ones(size))], lr=0.1)
    with pytest.raises(ValueError, match="exp_avg/bias has no place in this model"):
        saved[0].read().restore(other)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mounting a tmpfs is not permitted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_last_state(small_disk):
    _, optimizer = stepped()
    state = StateFolder(small_disk / "state")
    state.save(Snapshot.take({"w": torch.ones(1000)}, {}, optimizer, Progress(1)))
    with pytest.raises(ArtifactError, match=r"(?i)no space left"):
        state.save(Snapshot.take({"w": torch.ones(60_000)}, {"w": torch.ones(60_000)}, optimizer, Progress(2)))
    assert [path.name for path in state.folder.iterdir()] == ["step-0000001"]
    assert state.read().progress.step == 1


def test_a_fixed_interval_counts_steps(tmp_path):
    state = StateFolder(tmp_path / "state")
    assert [step for step in range(1, 10) if state.due(step, 3)] == [3, 6, 9]


@pytest.mark.parametrize(
    ("first", "next_one"), [(1000.0, 1006.0 + 6 / checkpointing.SHARE), (40.0, 12 / checkpointing.SHARE)]
)
def test_saves_keep_to_their_share_of_the_time(tmp_path, monkeypatch, first, next_one):
    """Of the time since the last one; and of all the time, which an early one has to make up for."""
    began, now = 100.0, [100.0]
    monkeypatch.setattr(checkpointing.time, "monotonic", lambda: now[0])
    state = StateFolder(tmp_path / "state")
    layer, optimizer = stepped()
    save_file = checkpointing.save_file

    def slow(*arguments):
        now[0] += 2.0
        save_file(*arguments)

    monkeypatch.setattr(checkpointing, "save_file", slow)
    assert not state.due(1)
    now[0] = began + first
    assert state.due(1)
    state.save(Snapshot.take(dict(layer.named_parameters()), {}, optimizer, Progress()))
    now[0] = began + next_one - 1
    assert not state.due(1)
    now[0] += 2
    assert state.due(1)


def test_removed_is_gone(saved):
    state = saved[0]
    assert state.exists()
    state.remove()
    assert not state.exists()
    state.remove()
