"""Does `nlptl rank` order candidate checkpoints as fine-tuning does? Five candidates on sst2 with 1000 labels."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import mean_and_spread

TITLE = "Ranking checkpoints before training"
CORPUS = Path("unlabelled_corpus") / "movie_reviews_sentences.txt"
# Candidate -> arguments of `nlptl pretrain` that make it; None: the bundled checkpoint as it is.
CANDIDATES: dict[str, list[str] | None] = {
    "minilm": None,
    "minilm, adapted": ["--checkpoint", "minilm"],
    "minilm, random weights": [],
    "mini, pre-trained": ["--shape", "mini"],
    "mini, random weights": ["--shape", "mini"],
}
STEPS = {"minilm, adapted": 1000, "mini, pre-trained": 4000, "mini, random weights": 0}


def cases(quick: bool) -> list[dict[str, Any]]:
    if quick:
        names = ("minilm", "minilm, random weights")
        return [{"dataset": "sst2", "shots": 20, "candidate": name, "steps": 0, "seed": 0} for name in names]
    return [
        {"dataset": "sst2", "shots": 500, "candidate": name, "steps": STEPS.get(name, 0), "seed": seed}
        for seed in range(3)
        for name in CANDIDATES
    ]


def measure(root: Path, case: dict[str, Any]) -> dict[str, Any]:
    import nlptl

    with tempfile.TemporaryDirectory() as folder:
        checkpoint = prepare(case["candidate"], case["steps"], root / CORPUS)
        given: dict[str, Any] = {"data": root / case["dataset"], "seed": case["seed"]}
        settings = {"data.shots": case["shots"], "runtime.progress": False}
        (judged,) = nlptl.rank("sentiment", [checkpoint], settings=settings, **given).rows
        run = nlptl.train(
            "sentiment", checkpoint=checkpoint, mode="full", output=Path(folder) / "run", settings=settings, **given
        )
        test = run.metrics["test"]["accuracy"]
    found = {name: judged[name] for name in ("probe", "loss", "log_me", "parameters")}
    return {**found, "rank_seconds": judged["seconds"], "test": test}


def prepare(candidate: str, steps: int, corpus: Path) -> str:
    """The candidate's name or folder; made once, and kept in nlptl's cache for the other seeds."""
    from nlptl.resources import cache_dir

    if candidate == "minilm":
        return candidate
    folder = cache_dir() / "benchmarks" / f"{candidate.replace(', ', '-').replace(' ', '-')}-{steps}"
    if (folder / "config.json").exists():
        return str(folder)
    if candidate == "minilm, random weights":
        _write_twin(folder)
        return str(folder)
    arguments = CANDIDATES[candidate] or []
    command = [sys.executable, "-m", "nlptl", "pretrain", *arguments, "--data", str(corpus), "--steps", str(steps)]
    subprocess.run([*command, "--output", str(folder)], check=True)
    return str(folder)


def _write_twin(folder: Path) -> None:
    """The bundled checkpoint's architecture, tokenizer and pooling with random weights."""
    import shutil

    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    from nlptl.checkpoints import resolve_checkpoint

    source = resolve_checkpoint("minilm").path
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.from_pretrained(source)).save_pretrained(aside)
    AutoTokenizer.from_pretrained(source).save_pretrained(aside)
    shutil.copytree(source / "1_Pooling", aside / "1_Pooling")
    aside.rename(folder)


def table(rows: list[dict[str, Any]]) -> str:
    """Candidates with what ranks them and their fine-tuned accuracy; how far each order agrees with it."""
    names = [name for name in CANDIDATES if any(row["candidate"] == name for row in rows)]
    of = {name: [row for row in rows if row["candidate"] == name] for name in names}
    lines = ["| candidate | probe | probe loss | LogME | fine-tuned, test | seeds |", "|---|---|---|---|---|---|"]
    for name in sorted(names, key=lambda name: statistics.mean(row["loss"] for row in of[name])):
        values = {key: [row[key] for row in of[name]] for key in ("probe", "loss", "log_me", "test")}
        cells = [
            mean_and_spread(values["probe"]),
            mean_and_spread(values["loss"], 1.0),
            mean_and_spread(values["log_me"], 1.0),
            mean_and_spread(values["test"]),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} | {len(of[name])} |")
    lines += ["", "Probe and accuracy in percent. Rows stand in the order that `nlptl rank` gives them."]
    if len(names) > 2:
        lines += [f"- {_agreement(of, key, sign, said)}" for key, sign, said in _ORDERS]
    return "\n".join(lines)


_ORDERS = (("loss", -1, "The probe's loss"), ("probe", 1, "The probe's accuracy"), ("log_me", 1, "LogME"))


def _agreement(of: dict[str, list[dict[str, Any]]], key: str, sign: int, said: str) -> str:
    from scipy.stats import kendalltau

    judged = [sign * statistics.mean(row[key] for row in rows) for rows in of.values()]
    reached = [statistics.mean(row["test"] for row in rows) for rows in of.values()]
    tau = float(kendalltau(judged, reached).statistic)
    best = judged.index(max(judged)) == reached.index(max(reached))
    verdict = "the same order" if tau > 1 - 1e-9 else "not the same order"
    return (
        f"{said} against fine-tuning, over {len(of)} candidates: {verdict} (Kendall's tau {tau:.2f}); "
        f"it {'names' if best else 'does not name'} the best one."
    )
