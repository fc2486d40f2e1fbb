"""Does `nlptl rank` order candidate checkpoints as fine-tuning does? Five candidates on sst2.

The pre-trained candidates are those of the studies `tapt` and `scratch_encoder`; fine-tuning is mode full by default
settings.
"""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path
from typing import Any

from pretrained import accuracy, kept_checkpoints, train_and_test

from studies import mean_and_spread, scratch_encoder, tapt

TITLE = "Ranking checkpoints before training"
BUNDLED, ADAPTED, TWIN = "minilm", "minilm, adapted to film reviews", "minilm, random weights"
# Name -> steps of pre-training.
SMALL = {f"{scratch_encoder.SHAPE} from scratch, {steps} steps": steps for _, steps in scratch_encoder.STARTS if steps}
CANDIDATES = (BUNDLED, ADAPTED, TWIN, *SMALL)


def cases(quick: bool) -> list[dict[str, Any]]:
    """Number of labels x draw of the labelled rows x candidate."""
    names, counts, seeds = ((BUNDLED, TWIN), (40,), 1) if quick else (CANDIDATES, (200, 1000), 3)
    return [
        {"dataset": "sst2", "labels": labels, "candidate": name, "seed": seed}
        for labels in counts
        for seed in range(seeds)
        for name in names
    ]


def measure(root: Path, case: dict[str, Any]) -> dict[str, Any]:
    """What `rank` says of the candidate, and its test accuracy once fine-tuned on the same rows."""
    import nlptl

    folder, seed, labels = root / case["dataset"], case["seed"], case["labels"]
    checkpoint = prepare(case["candidate"], root)
    settings = {"data.shots": labels // 2, "runtime.progress": False}
    (judged,) = nlptl.rank("sentiment", [checkpoint], data=train_and_test(folder), seed=seed, settings=settings).rows
    found = {name: judged[name] for name in ("probe", "loss", "log_me", "parameters")}
    return {
        **found,
        "rank_seconds": judged["seconds"],
        "test": accuracy(folder, "sentiment", checkpoint, "full", labels, seed, 2),
    }


def prepare(candidate: str, root: Path) -> str:
    """The candidate's name or folder; made once, and kept for the other seeds."""
    if candidate == TWIN:
        return str(_twin())
    if candidate in SMALL:
        return str(scratch_encoder.encoder(root, SMALL[candidate]))
    return str(tapt.encoder(root, "tapt" if candidate == ADAPTED else "none"))


def _twin() -> Path:
    """The bundled checkpoint's architecture, tokenizer and pooling with random weights."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    from nlptl.checkpoints import resolve_checkpoint
    from nlptl.storage.identity import identity, versions

    minilm = resolve_checkpoint("minilm")
    folder = kept_checkpoints() / f"random-{identity(like=minilm.revision, versions=versions())}"
    if folder.exists():
        return folder
    source = minilm.path
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.from_pretrained(source)).save_pretrained(aside)
    AutoTokenizer.from_pretrained(source).save_pretrained(aside)
    shutil.copytree(source / "1_Pooling", aside / "1_Pooling")
    return aside.rename(folder)


def table(rows: list[dict[str, Any]]) -> str:
    """For each number of labels, the candidates and how far what ranks them agrees with their fine-tuned accuracy."""
    counts = sorted({row["labels"] for row in rows})
    return "\n\n".join(
        f"With {labels} labels:\n\n{_table([row for row in rows if row['labels'] == labels])}" for labels in counts
    )


def _table(rows: list[dict[str, Any]]) -> str:
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
