"""Intermediate tasks: `train --via SOURCE`, from the call to what the run says of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import nlptl
from nlptl.config.run import RunConfig
from nlptl.data.audit import Audit
from nlptl.data.loading import Splits
from nlptl.errors import NlptlError
from nlptl.evaluation.wording import via_sentences
from nlptl.intermediate.interpolation import HEAD, Judge, choose
from nlptl.runs.lineage import open_checkpoint
from nlptl.storage.json_files import read_json
from nlptl.tasks import load_task
from tests.conftest import QUICK

WORDS = ("film", "book", "meal", "song", "game", "shop", "trip", "phone", "chair", "show", "good", "bad")
VIA = {"via.epochs": 2, "via.learning_rate": 5e-3}


def things(rows: int = 6) -> pd.DataFrame:
    """Twelve labels, each with a word of its own that the tiny checkpoints know."""
    return pd.DataFrame(
        {"text": f"a {word} and more of it in round {i}", "label": f"about-{word}"}
        for i in range(rows)
        for word in WORDS
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory):
    file = tmp_path_factory.mktemp("source") / "things.csv"
    things().to_csv(file, index=False)
    return file


@pytest.fixture
def via(tiny, obvious, source, tmp_path):
    """A run via the source, by settings."""

    def run(*sources, folder="run", settings=None, **more):
        values = {**VIA, "model.pooling": "mean", **(settings or {})}
        named = [str(path) for path in sources or (source,)]
        more = {"checkpoint": tiny["bert"], **more}
        return nlptl.train(
            "sentiment", data=obvious, output=tmp_path / folder, via=named, settings={**QUICK, **values}, **more
        )

    return run


def test_the_encoder_begins_between_the_checkpoint_and_what_the_source_taught(via, tiny, obvious):
    learn = {"via.epochs": 6, "via.learning_rate": 1e-2}
    run = via(settings={"via.interpolation": 0.25, **learn}, mode="feature_extraction")
    home = run.folder / "via" / "1-things"
    start, end, between = (
        load_file(folder / "model.safetensors")
        for folder in (Path(tiny["bert"]), home / "run" / "model" / "encoder", home / "encoder")
    )
    name = "encoder.layer.0.attention.self.query.weight"
    assert not torch.allclose(start[name], end[name], atol=1e-3)
    torch.testing.assert_close(between[name], torch.lerp(start[name], end[name], 0.25))
    manifest = read_json(run.folder / "manifest.json")
    assert manifest["checkpoint"]["relative"] == "via/1-things/encoder"
    steps = manifest["lineage"]
    assert [step["kind"] for step in steps] == ["checkpoint", "intermediate task"]
    assert (steps[1]["objective"], steps[1]["labels"], steps[1]["interpolation"]) == ("contrastive", 12, 0.25)
    told = run.metrics["via"]
    right = pd.read_csv(run.folder / "predictions.csv").eval("most_probable == label").mean()
    assert told["comparison"]["via"]["test"] == pytest.approx(right)
    straight = nlptl.load(run.folder / "straight")
    assert told["comparison"]["straight"]["test"] == straight.metrics["test"]["accuracy"]
    assert "via" not in straight.metrics
    assert via_sentences(told) in (run.folder / "README.md").read_text()


def test_what_harms_is_left_out_and_the_run_is_then_the_straight_one(via, caplog):
    run = via(settings={"via.learning_rate": 5.0, "via.rows": 24})
    told = run.metrics["via"]
    assert told["sources"][0]["interpolation"] == 0
    losses = told["sources"][0]["losses"]
    assert set(losses["0"]) == {"task", "held_out_labels"}
    assert "does not clearly help on rows that it did not see: it is left out" in caplog.text
    assert told["comparison"]["difference"] == 0
    assert [step["kind"] for step in read_json(run.folder / "manifest.json")["lineage"]] == ["checkpoint"]


def test_the_share_is_the_one_whose_features_tell_unseen_rows_apart_best(tiny, obvious, tmp_path):
    blank = shutil.copytree(tiny["bert"], tmp_path / "blank")
    weights = load_file(blank / "model.safetensors")
    save_file({name: torch.zeros_like(tensor) for name, tensor in weights.items()}, blank / "model.safetensors")
    good, useless = open_checkpoint(tiny["bert"]), open_checkpoint(str(blank))
    rows = {split: pd.read_csv(obvious / f"{split}.csv") for split in ("train", "validation", "test")}
    task = load_task("sentiment")
    config = RunConfig(task="sentiment", model={"pooling": "mean"}, runtime={"progress": False})
    judge = Judge.of(config, good, Splits(**rows, task=task, audit=Audit()), things(3))
    assert set(judge.sets) == {"task", "held_out_labels"}
    choice = choose(good, useless, judge)
    assert choice.share < 1
    assert choice.losses["1"]["task"] == pytest.approx(0.693, abs=0.05)  # nothing can be told from equal features
    assert choose(good, good, judge).share == 0  # no clear difference
    assert choose(useless, good, judge).share > 0


def reviews(obvious: Path) -> pd.DataFrame:
    """Other texts with the task's own labels, in another order than the task's."""
    rows = pd.read_csv(obvious / "train.csv")
    return pd.concat([rows.assign(text=rows["text"] + " and more" * i) for i in range(1, 6)]).iloc[::-1]


def test_a_source_with_the_same_labels_gives_its_head_too(via, obvious, tmp_path):
    reviews(obvious).to_csv(tmp_path / "reviews.csv", index=False)
    learn = {"via.epochs": 5, "via.learning_rate": 2e-3}
    run = via(tmp_path / "reviews.csv", settings=learn, shots=2)
    (told,) = run.metrics["via"]["sources"]
    assert (told["objective"], told["head"], told["interpolation"]) == ("classification", True, 1.0)
    others = [losses["task"] for name, losses in told["losses"].items() if name != HEAD]
    assert told["losses"][HEAD]["task"] < min(others)
    lineage = read_json(run.folder / "manifest.json")["lineage"]
    assert [step["kind"] for step in lineage] == ["checkpoint", "task"]
    assert run.metrics["test"]["accuracy"] > run.metrics["via"]["comparison"]["straight"]["test"]
    assert "with its head" in (run.folder / "README.md").read_text()
    assert "forgetting" not in run.metrics


def test_a_head_whose_labels_mean_something_else_is_not_kept(via, obvious, tmp_path):
    turned = reviews(obvious).assign(
        label=lambda rows: rows["label"].map({"positive": "negative", "negative": "positive"})
    )
    turned.to_csv(tmp_path / "turned.csv", index=False)
    run = via(tmp_path / "turned.csv", settings={"via.epochs": 5, "via.learning_rate": 2e-3, "via.compare": False})
    assert run.metrics["via"]["sources"][0]["head"] is False


@pytest.mark.parametrize(
    "asked", [{"strategy": "contrastive"}, {"mode": "feature_extraction"}, {"settings": {"model.head_start": "probe"}}]
)
def test_a_start_that_is_asked_for_is_not_replaced_by_a_head(via, obvious, tmp_path, asked):
    reviews(obvious).to_csv(tmp_path / "reviews.csv", index=False)
    settings = {"via.interpolation": 1.0, "via.compare": False, **asked.pop("settings", {})}
    run = via(tmp_path / "reviews.csv", settings=settings, **asked)
    assert run.metrics["via"]["sources"][0]["head"] is False


def test_no_text_that_is_reported_on_is_learned_before(via, obvious, source, tmp_path):
    test = pd.read_csv(obvious / "test.csv").head(7).assign(label="about-film")
    pd.concat([things(), test]).to_csv(tmp_path / "leaky.csv", index=False)
    run = via(tmp_path / "leaky.csv", settings={"via.interpolation": 1.0, "via.compare": False})
    assert run.metrics["via"]["sources"][0]["repeated_texts"] == test["text"].str.lower().nunique()
    assert not (run.folder / "straight").exists()


def test_several_sources_in_order_together_without_labels_and_runs(via, source, tmp_path, obvious):
    other = tmp_path / "other.csv"
    things().assign(label=[f"half-{i % 2}" for i in range(len(things()))]).to_csv(other, index=False)
    plain = {"via.interpolation": 1.0, "via.compare": False, "via.rows": 24}
    in_order = via(source, other, folder="in-order", settings={**plain, "via.objective": "classification"})
    assert [each["source"] for each in in_order.metrics["via"]["sources"]] == [str(source), str(other)]
    assert (in_order.folder / "via" / "2-other" / "run" / "manifest.json").is_file()
    together = via(source, other, folder="together", settings={**plain, "via.together": True})
    assert together.metrics["via"]["sources"][0]["labels"] == 14
    assert nlptl.load(together.folder / "via" / "1-things" / "run").tasks == ["things", "other"]
    run = via(in_order.folder, folder="of-a-run", settings=plain)
    (told,) = run.metrics["via"]["sources"]
    assert (told["objective"], told["head"]) == ("run", True)  # the whole way of a run of this task


def test_a_source_whose_labels_are_not_read(tiny, obvious, source, tmp_path):
    run = nlptl.train(
        "sentiment", data=obvious, output=tmp_path / "run", via=source, checkpoint=tiny["bert"],
        settings={**QUICK, "via.objective": "unlabelled", "via.interpolation": 1.0, "via.compare": False},
    )  # fmt: skip
    assert (run.folder / "via" / "1-things" / "pretrained" / "pretraining.json").is_file()


def test_an_interrupted_run_does_not_learn_its_sources_again(via):
    run = via(settings={"via.interpolation": 0.5, "via.compare": False})
    stage = run.folder / "via" / "1-things" / "run" / "manifest.json"
    before, expected = stage.stat().st_mtime_ns, run.predict_proba(["a good film"])
    (run.folder / "manifest.json").unlink()
    again = via(settings={"via.interpolation": 0.5, "via.compare": False}, resume=True)
    assert stage.stat().st_mtime_ns == before
    assert (again.predict_proba(["a good film"]) == expected).all()


@pytest.mark.parametrize(
    ("sources", "settings", "message"),
    [
        (["no-such"], {}, "--via no-such: there is no such file, folder or run"),
        (["SOURCE", "SOURCE"], {}, "is given twice"),
        (["SOURCE"], {"via.together": True}, "via.together would have no effect: there is one source"),
        (
            ["SOURCE"],
            {"via.objective": "unlabelled"},
            "via.learning_rate would have no effect: via.objective=unlabelled",
        ),
        ([], {"via.rows": 5}, "via.rows would have no effect: no source is named"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(via, source, tmp_path, sources, settings, message):
    named = [str(source) if name == "SOURCE" else name for name in sources]
    with pytest.raises(NlptlError, match=message):
        nlptl.train("sentiment", output=tmp_path / "run", via=named or None, settings={**VIA, **settings})
    assert not (tmp_path / "run").exists()
