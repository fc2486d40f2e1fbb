"""What many tests share: a cache of their own, small data, tiny checkpoints, and one trained run per mode."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

# Set before any test imports torch or transformers, which read them once. For models as small as these, and for
# tests side by side, several threads cost more than they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from nlptl.storage.paths import bundled

ARCHITECTURES = ("bert", "distilbert", "roberta")
MODES = ("full", "lora", "feature_extraction")
# One short epoch, exact arithmetic, no bars.
QUICK = {
    "training.epochs": 1,
    "training.batch_size": 16,
    "runtime.precision": "fp32",
    "runtime.progress": False,
}
# For runs whose encoder must have learned: a head from noise leaves something to improve.
LEARN = {"training.epochs": 2, "model.head_start": "random", "training.head_learning_rate": 5e-3}
LEARN_TINY = {**LEARN, "training.epochs": 6, "training.learning_rate": 1e-2, "training.head_learning_rate": 1e-2}


LONGEST_FIRST = (
    "docs/test_blocks.py",
    "test_samples.py",
    "test_notebooks.py",
    "training/resume/test_cut_off.py",
    "config/test_settings_count.py",
    "test_identity.py",
    "strategies/test_fine_tune.py",
)
"""Files of few tests that take minutes: begun last, they would keep one worker busy while the others have nothing."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the others stay in their order."""
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@dataclass(frozen=True)
class Trained:
    """A finished run as `nlptl.train` gave it, and the classifier as it was when training ended."""

    run: Any
    classifier: Any


Train = Callable[..., Trained]


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's cache, looks for other tasks, or trains on a GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NLPTL_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("ACCELERATE_USE_CPU", "1")
        patch.delenv("NLPTL_TASKS", raising=False)
        patch.delenv("ACCELERATE_MIXED_PRECISION", raising=False)
        yield


def sample(task: str, split: str, rows: int) -> pd.DataFrame:
    """The first rows of a bundled sample, the labels in turn."""
    frame = pd.read_csv(bundled("tasks") / task / "sample" / f"{split}.csv")
    turn = frame.groupby("label").cumcount()
    return frame.iloc[turn.sort_values(kind="stable").index[:rows]].reset_index(drop=True)


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small part of the sentiment sample: 75 rows to train on, 25 and 31 held out."""
    folder = tmp_path_factory.mktemp("reviews")
    for split, rows in (("train", 75), ("validation", 25), ("test", 31)):
        sample("sentiment", split, rows).to_csv(folder / f"{split}.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def obvious(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of texts that a tiny model learns in an epoch or two; no split divides by 2."""
    folder = tmp_path_factory.mktemp("obvious")
    words = {"positive": ("good", "fine", "great"), "negative": ("bad", "awful", "poor")}
    things = ("film", "book", "meal", "song", "game", "shop", "trip", "phone", "chair", "show")
    rows = [
        {"text": f"a {word} {thing} {'and more of it ' * (i % 4)}in round {i}", "label": label}
        for i in range(2)
        for thing in things
        for turn in range(3)
        for label, word in ((label, known[turn]) for label, known in words.items())
    ]
    frame = pd.DataFrame(rows).sample(frac=1.0, random_state=0)
    for split, (start, stop) in {"train": (0, 67), "validation": (67, 88), "test": (88, 119)}.items():
        frame.iloc[start:stop].to_csv(folder / f"{split}.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, obvious: Path) -> dict[str, str]:
    """Folders of random checkpoints by architecture: 2 layers, hidden size 32, 64 tokens, a few hundred pieces."""
    texts = pd.read_csv(obvious / "train.csv")["text"]
    words = sorted({word for text in texts for word in text.split()})
    root = tmp_path_factory.mktemp("checkpoints")
    for name in ARCHITECTURES:
        _write_tiny(name, root / name, words)
    return {name: str(root / name) for name in ARCHITECTURES}


def _write_tiny(name: str, folder: Path, words: list[str]) -> None:
    import torch
    import transformers as tf

    folder.mkdir()
    tokenizer = _byte_pairs(folder, words) if name == "roberta" else _word_pieces(folder, words, name)
    sizes = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
    bert = {**sizes, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = {
        "bert": lambda: tf.BertConfig(**bert, max_position_embeddings=64),
        "roberta": lambda: tf.RobertaConfig(**bert, max_position_embeddings=66, type_vocab_size=1),
        "distilbert": lambda: tf.DistilBertConfig(
            **sizes, dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=64
        ),
    }[name]()
    # Larger than the usual 0.02, so that outputs of different texts differ.
    config.initializer_range = 0.2
    torch.manual_seed(7)
    tf.AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _word_pieces(folder: Path, words: list[str], name: str) -> Any:
    import transformers as tf

    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,!?'-", *letters, *(f"##{c}" for c in letters)]
    pieces += [word for word in words if word not in pieces]
    (folder / "vocab.txt").write_text("\n".join(pieces))
    kind = tf.BertTokenizerFast if name == "bert" else tf.DistilBertTokenizerFast
    return kind.from_pretrained(folder, model_max_length=64)


def _byte_pairs(folder: Path, words: list[str]) -> Any:
    """Each word is joined from its first letter on."""
    import transformers as tf
    from tokenizers.pre_tokenizers import ByteLevel

    merges: dict[tuple[str, str], None] = {}
    for word in words:
        for i in range(1, len(word) + 1):
            merges["Ġ" + word[: i - 1], word[i - 1]] = None
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet()), *map("".join, merges)]
    (folder / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, merges)]))
    return tf.RobertaTokenizerFast.from_pretrained(folder, model_max_length=64)


@pytest.fixture(scope="session")
def train() -> Train:
    """`nlptl.train` on small data with quick settings, and the classifier that it saved."""
    import nlptl
    from nlptl.strategies import saving

    def quickly(task: str | None, data: Any, output: Path, settings: dict[str, Any] | None = None, **more: Any) -> Any:
        kept: list[Any] = []
        save = saving.save_artifact

        def keep(folder: Path, config: Any, heads: Any, model: Any) -> None:
            kept.append(model.classifier)
            save(folder, config, heads, model)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(saving, "save_artifact", keep)
            run = nlptl.train(task, data=data, output=output, settings={**QUICK, **(settings or {})}, **more)
        return Trained(run, kept[0])

    return quickly


@pytest.fixture(scope="session")
def trained(train: Train, reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trained]:
    """A mode's run on the bundled checkpoint; each is trained when it is first asked for, and never changed."""
    root = tmp_path_factory.mktemp("runs")
    runs: dict[str, Trained] = {}

    def of(mode: str) -> Trained:
        if mode not in runs:
            learn = LEARN if mode != "feature_extraction" else {}
            runs[mode] = train("sentiment", reviews, root / mode, learn, mode=mode)
        return runs[mode]

    return of


@pytest.fixture(scope="session")
def trained_tiny(
    train: Train, tiny: dict[str, str], obvious: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Trained]:
    """A run on a tiny checkpoint whose best state comes from training; made once per set of arguments."""
    root = tmp_path_factory.mktemp("tiny_runs")
    runs: dict[tuple[Any, ...], Trained] = {}

    def of(architecture: str, mode: str, pooling: str = "cls", **settings: Any) -> Trained:
        key = (architecture, mode, pooling, *sorted(settings.items()))
        if key not in runs:
            learn = LEARN_TINY if mode != "feature_extraction" else {}
            values = {**learn, "model.pooling": pooling, **{k.replace("__", "."): v for k, v in settings.items()}}
            folder = root / str(len(runs))
            runs[key] = train("sentiment", obvious, folder, values, mode=mode, checkpoint=tiny[architecture])
            assert mode == "feature_extraction" or runs[key].run.metrics["training"]["best_epoch"] > 0
        return runs[key]

    return of
