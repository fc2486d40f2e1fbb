import json

import pytest
import torch

from nlptl.errors import ArtifactError
from nlptl.training import checkpointing
from nlptl.training.checkpointing import Progress, StateFolder


def stepped(size: int = 3) -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
    torch.manual_seed(0)
    layer = torch.nn.Linear(size, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1)
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
    state.save(weights, best, optimizer, progress)
    return state, weights, best, optimizer, progress


def test_what_was_saved_is_loaded(saved):
    state, weights, best, optimizer, progress = saved
    other = torch.optim.AdamW(torch.nn.Linear(3, 2).parameters(), lr=0.1)
    loaded_weights, loaded_best, loaded_progress = state.load(other)
    assert loaded_progress == progress
    for name in weights:
        assert torch.equal(loaded_weights[name], weights[name])
        assert torch.equal(loaded_best[name], best[name])
    before, after = optimizer.state_dict()["state"], other.state_dict()["state"]
    assert before.keys() == after.keys()
    for index, moments in before.items():
        assert all(torch.equal(moments[name], after[index][name]) for name in ("step", "exp_avg", "exp_avg_sq"))


def test_a_new_state_takes_the_place_of_the_last_and_nothing_else_stays(saved):
    state, weights, best, optimizer, _ = saved
    state.save(weights, best, optimizer, Progress(8))
    assert state.load(optimizer)[2].step == 8
    assert [path.name for path in state.folder.parent.iterdir()] == ["state"]


def test_a_save_that_breaks_off_leaves_the_last_state(saved, monkeypatch):
    state, weights, best, optimizer, _ = saved

    def full_disk(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpointing, "save_file", full_disk)
    with pytest.raises(OSError, match="No space"):
        state.save(weights, best, optimizer, Progress(8))
    assert state.load(optimizer)[2].step == 7


def test_a_save_stopped_between_its_renames_leaves_the_last_state(saved):
    state, *_, optimizer, _ = saved
    state.folder.rename(state.folder.with_name("state.old"))
    assert StateFolder(state.folder).exists()
    assert state.load(optimizer)[2].step == 7


@pytest.mark.parametrize("name", ["weights.safetensors", "best.safetensors", "optimizer.safetensors", "progress.json"])
def test_a_damaged_state_is_an_artifact_error(saved, name):
    state, *_, optimizer, _ = saved
    file = state.folder / name
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(ArtifactError, match="cannot be used .* Remove it to start over"):
        state.load(optimizer)


def test_a_state_of_another_model_is_an_artifact_error(saved):
    state = saved[0]
    other = torch.optim.AdamW(torch.nn.Sequential(torch.nn.Linear(3, 2)).parameters(), lr=0.1)
    noted = json.loads((state.folder / "progress.json").read_text())
    noted["progress"]["unheard_of"] = 1
    (state.folder / "progress.json").write_text(json.dumps(noted))
    with pytest.raises(ArtifactError, match="cannot be used"):
        state.load(other)


def test_saves_keep_to_their_share_of_the_time(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(checkpointing.time, "monotonic", lambda: now[0])
    state = StateFolder(tmp_path / "state")
    layer, optimizer = stepped()
    save_file = checkpointing.save_file

    def slow(*arguments):
        now[0] += 2.0
        save_file(*arguments)

    monkeypatch.setattr(checkpointing, "save_file", slow)
    now[0] += 1000
    assert state.due()
    state.save(dict(layer.named_parameters()), {}, optimizer, Progress())
    assert not state.due()
    now[0] += 6.0 / checkpointing.SHARE - 1
    assert not state.due()
    now[0] += 2
    assert state.due()


def test_removed_is_gone(saved):
    state = saved[0]
    assert state.exists()
    state.remove()
    assert not state.exists()
    state.remove()
