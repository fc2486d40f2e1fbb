"""A checkpoint that cannot be used ends a command before there is a run folder."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import transformers as tf

import nlptl
from nlptl.errors import CheckpointError
from nlptl.models.opening import encoder_config, load_tokenizer
from nlptl.registry import MODES

QUICK = {"training.epochs": 1, "runtime.progress": False, "runtime.precision": "fp32"}
DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0}


@pytest.fixture
def made(tiny, tmp_path):
    """The folder of a tiny checkpoint of another architecture, with BERT's tokenizer."""

    def of(name: str, **settings) -> str:
        folder = Path(shutil.copytree(tiny["bert"], tmp_path / name))
        words = encoder_config(Path(tiny["bert"])).vocab_size
        torch.manual_seed(0)
        config = tf.AutoConfig.for_model(name, vocab_size=words, pad_token_id=0, **settings)
        tf.AutoModel.from_config(config).save_pretrained(folder)
        return str(folder)

    return of


def deberta(made) -> str:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    return made("deberta", **sizes, max_position_embeddings=66, **DEBERTA)


def learn(obvious: Path, checkpoint: str, output: Path, mode: str = "feature_extraction", **settings):
    values = {**QUICK, **{key.replace("__", "."): value for key, value in settings.items()}}
    return nlptl.train("sentiment", data=obvious, checkpoint=checkpoint, output=output, mode=mode, settings=values)


@pytest.mark.parametrize("mode", MODES.names())
def test_a_decoder_is_refused_in_every_mode_and_leaves_no_folder(made, obvious, tmp_path, mode):
    gpt2 = made("gpt2", n_embd=32, n_layer=1, n_head=2, n_positions=64)
    with pytest.raises(CheckpointError, match="is a decoder") as caught:
        learn(obvious, gpt2, tmp_path / "run", mode)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "run").exists()


def test_a_tokenizer_of_another_size_is_refused_before_anything_is_read_from_it(tiny, obvious, tmp_path):
    folder = Path(shutil.copytree(tiny["bert"], tmp_path / "extended"))
    tokenizer = load_tokenizer(folder)
    tokenizer.add_tokens(["[USER]"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(CheckpointError, match=r"tokens, but the encoder has \d+ embeddings"):
        learn(obvious, str(folder), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_float32_is_taken_aloud_where_bfloat16_alone_fails(made, obvious, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    run = learn(obvious, deberta(made), tmp_path / "run", runtime__precision="auto")
    assert run.metrics["runtime"]["precision"] == "fp32"
    assert "cannot be computed in bf16" in caplog.text
    assert "the run goes on in fp32" in caplog.text


def test_a_precision_that_was_asked_for_is_not_replaced(made, obvious, tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot be computed in bf16 .* Use --set runtime\.precision=fp32"):
        learn(obvious, deberta(made), tmp_path / "run", runtime__precision="bf16")
    assert not (tmp_path / "run").exists()


def test_trying_moves_nothing_that_the_run_draws(tiny, obvious, tmp_path, monkeypatch):
    settings = {"training__learning_rate": 1e-2, "model__head_start": "random", "model__dropout": 0.1}
    tried = learn(obvious, tiny["bert"], tmp_path / "tried", "full", **settings)
    monkeypatch.setattr("nlptl.strategies.pipeline.try_checkpoint", lambda config, checkpoint, tasks, runtime: runtime)
    untried = learn(obvious, tiny["bert"], tmp_path / "untried", "full", **settings)
    assert tried.metrics["training"]["losses"] == untried.metrics["training"]["losses"]


@pytest.mark.parametrize("mode", MODES.names())
def test_a_checkpoint_fine_tuned_for_other_labels_is_learned_on(tiny, obvious, tmp_path, mode):
    folder = Path(shutil.copytree(tiny["bert"], tmp_path / "five"))
    config = tf.AutoConfig.from_pretrained(folder, num_labels=5)
    tf.AutoModelForSequenceClassification.from_pretrained(folder, config=config).save_pretrained(folder)
    assert learn(obvious, str(folder), tmp_path / "run", mode).labels == ["negative", "positive"]


def test_a_run_is_the_checkpoint_of_a_task_with_other_labels(tiny, obvious, tmp_path):
    learn(obvious, tiny["bert"], tmp_path / "first", "full", model__pooling="cls")
    rows = pd.read_csv(obvious / "train.csv").assign(
        label=lambda frame: [("cancel", "change", "ask")[i % 3] for i in range(len(frame))]
    )
    second = nlptl.train(
        "chatbot-intent",
        data=rows,
        checkpoint=str(tmp_path / "first" / "model"),
        output=tmp_path / "second",
        mode="full",
        settings=QUICK,
    )
    assert len(second.labels) == 3
    assert json.loads((tmp_path / "second" / "model" / "config.json").read_text())["id2label"]["0"] == second.labels[0]


@pytest.mark.parametrize("verb", ["rank", "probe"])
def test_looking_into_a_decoder_is_refused(made, obvious, verb):
    gpt2 = made("gpt2", n_embd=32, n_layer=1, n_head=2, n_positions=64)
    look = {
        "rank": lambda: nlptl.rank("sentiment", checkpoints=[gpt2], data=obvious),
        "probe": lambda: nlptl.probe("sentiment", checkpoint=gpt2, data=obvious),
    }
    with pytest.raises(CheckpointError, match="is a decoder"):
        look[verb]()
