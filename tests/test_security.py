import ast
import json
import logging
import pickle
import runpy
from pathlib import Path

import pandas as pd
import pytest

import nlptl
from nlptl.checkpoints import check_checkpoint, resolve_checkpoint
from nlptl.config.overrides import load_config
from nlptl.config.records import write_yaml
from nlptl.data.files import TableWriter
from nlptl.errors import ArtifactError, CheckpointError, ConfigError
from nlptl.models.opening import encoder_config, load_tokenizer
from nlptl.runs.manifest import refuse_code
from nlptl.storage.secrets import RedactSecrets, redact

ROOT = Path(__file__).parent.parent
SOURCES = sorted(Path(nlptl.__file__).parent.rglob("*.py"))
UNSAFE_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal", "tarfile", "zipfile"}
UNSAFE_CALLS = {"torch.load", "torch.save", "pd.read_pickle", "yaml.load", "yaml.unsafe_load", "shutil.unpack_archive"}
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]


class Bomb:
    """Whoever unpickles this leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = str(trace)

    def __reduce__(self):
        return (Path.touch, (Path(self.trace),))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_no_source_can_open_a_pickle_an_archive_or_foreign_code(source):
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & UNSAFE_MODULES
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in UNSAFE_MODULES
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert called not in UNSAFE_CALLS | {"eval", "exec"}
            assert keywords.get("trust_remote_code", "False") == "False"
            assert keywords.get("allow_pickle", "False") == "False"
            assert called not in ("np.load", "np.save") or "allow_pickle" in keywords


def test_a_pickled_checkpoint_is_refused_unopened(tiny, tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for file in Path(tiny["bert"]).iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "trace")))
    for refuse in (check_checkpoint, resolve_checkpoint):
        with pytest.raises(CheckpointError, match=r"pytorch_model\.bin, which can run code"):
            refuse(str(folder))
    with pytest.raises(ArtifactError, match="can run code"):
        refuse_code(folder)
    assert not (tmp_path / "trace").exists()


def test_code_in_a_checkpoint_is_not_run(tiny, tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for file in Path(tiny["bert"]).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    trace = tmp_path / "trace"
    (folder / "evil.py").write_text(f"import pathlib\npathlib.Path({str(trace)!r}).touch()\nclass Evil: pass\n")
    mapped = {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil", "AutoTokenizer": ["evil.Evil", "evil.Evil"]}
    for name in ("config.json", "tokenizer_config.json"):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**content, "auto_map": mapped}))
    assert encoder_config(folder).model_type == "bert"  # transformers' own class
    load_tokenizer(folder)
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, "model_type": "evil"}))
    with pytest.raises(CheckpointError, match="cannot be read"):
        encoder_config(folder)
    assert not trace.exists()


@pytest.mark.parametrize(
    "name",
    [
        "../absent-x",
        "../../absent-x",
        "/etc/absent",
        "absent-a/..",
        "./absent-x",
        "owner/name@../x",
        "owner/name@a/../b",
    ],
)
def test_a_name_that_climbs_is_no_checkpoint(name):
    with pytest.raises(CheckpointError, match="Unknown checkpoint"):
        check_checkpoint(name)


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_formulas_become_texts_where_asked_for(tmp_path, suffix):
    frame = pd.DataFrame({"text": [*FORMULAS, "a=b"], "=cmd()": 1, "number": -1.5})
    with TableWriter(tmp_path / f"safe.{suffix}", safe_csv=True) as writer:
        writer.write(frame)
    with TableWriter(tmp_path / f"plain.{suffix}") as writer:
        writer.write(frame)
    separator = "\t" if suffix == "tsv" else ","
    safe = pd.read_csv(tmp_path / f"safe.{suffix}", sep=separator)
    assert safe["text"].tolist() == [*(f"'{formula}" for formula in FORMULAS), "a=b"]
    assert list(safe) == ["text", "'=cmd()", "number"]
    assert safe["number"].tolist() == [-1.5] * 7
    assert pd.read_csv(tmp_path / f"plain.{suffix}", sep=separator)["text"].tolist() == [*FORMULAS, "a=b"]


SECRETS = [
    ("https://me:pass@host/x", "https://***@host/x"),
    ("s3://key:a/b@host? no: a slash ends it", "s3://key:a/b@host? no: a slash ends it"),
    ("with hf_abcdefghijklmnopqrst inside", "with *** inside"),
    ("value s3cr3t-v4lue-1 of a variable", "value *** of a variable"),
    ("https://host:8080/x, nothing secret", "https://host:8080/x, nothing secret"),
]


@pytest.mark.parametrize(("text", "shown"), SECRETS)
def test_secrets_are_redacted(text, shown, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "s3cr3t-v4lue-1")
    assert redact(text) == shown


def test_secrets_leave_neither_through_logs_nor_through_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "s3cr3t-v4lue-1")
    handler = logging.FileHandler(tmp_path / "log.txt")
    handler.addFilter(RedactSecrets())
    handler.handle(logging.LogRecord("nlptl", logging.INFO, "", 0, "token %s", ("s3cr3t-v4lue-1",), None))
    handler.close()
    assert (tmp_path / "log.txt").read_text() == "token ***\n"
    for value in ("https://me:s3cr3t@host/x.csv", "s3cr3t-v4lue-1"):
        with pytest.raises(ConfigError, match="holds a password or access token") as caught:
            load_config(task="sentiment", **{"data.source": value})
        assert "s3cr3t" not in str(caught.value)


def test_a_run_notes_no_secret(trained_tiny, monkeypatch):
    run = trained_tiny("bert", "full").run
    monkeypatch.setenv("HF_TOKEN", "s3cr3t-v4lue-1")
    write_yaml(run.folder.parent / "again.yaml", run.artifact.config)
    for path in (run.folder.parent / "again.yaml", *run.folder.glob("*.*")):
        assert b"s3cr3t" not in path.read_bytes()


def test_the_revision_is_recorded(trained_tiny):
    folder = trained_tiny("bert", "lora").run.folder
    noted = json.loads((folder / "manifest.json").read_text())["checkpoint"]["revision"]
    assert noted.startswith("files-sha256:")
    assert len(noted) == len("files-sha256:") + 64
    assert noted in (folder / "README.md").read_text()


def installed(folder: Path, name: str, version: str, *needs: str) -> None:
    """A distribution that is nothing but its metadata."""
    home = folder / f"{name}-{version}.dist-info"
    home.mkdir(parents=True)
    extras = "Provides-Extra: more\n" if "extra ==" in "".join(needs) else ""
    lines = "".join(f"Requires-Dist: {need}\n" for need in needs)
    (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{extras}{lines}")


def test_the_audit_names_what_is_installed_but_not_recorded(tmp_path, monkeypatch):
    audit = runpy.run_path(str(ROOT / ".ci" / "audit.py"))
    installed(tmp_path, "toy_root", "1.0", "Toy_Known>=1", "toy-newer", "toy-absent; extra == 'more'")
    installed(
        tmp_path, "toy_known", "1.5+cpu", "toy-pinned==3", "toy-loose>=1", "toy-elsewhere; sys_platform == 'none'"
    )
    installed(tmp_path, "toy_newer", "2.1", "toy-extra; extra == 'more'", "toy-known")
    for name in ("toy_pinned", "toy_loose", "toy_elsewhere", "toy_extra"):
        installed(tmp_path, name, "3")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "record.txt").write_text("# a record\ntoy.known==1.5\ntoy-newer==2.0\n")
    count, faults = audit["unrecorded"](audit["recorded"](tmp_path / "record.txt"), "toy_root")
    assert count == 4
    assert faults == [
        "toy-loose 3 is installed, nothing is recorded",
        "toy-newer 2.1 is installed, 2.0 is recorded",
    ]
