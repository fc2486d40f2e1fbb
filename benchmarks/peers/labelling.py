"""File to file with plain transformers: `pipeline("text-classification")`, or PyTorch over batches sorted by length.

Reads the column `text`, writes a CSV with the column `predicted`. The clock runs from opening the file to the last row
written; loading the model is told apart.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

from peers.texts import read, say, threads


def main() -> None:
    """Label the file `--repeats` times; the first time is told apart."""
    made = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    made.add_argument("how", choices=("pipeline", "sorted"))
    made.add_argument("--model", required=True, help="folder of a fine-tuned sequence classifier")
    made.add_argument("--data", type=Path, required=True, help="folder with test.csv")
    made.add_argument("--output", type=Path, required=True)
    made.add_argument("--batch-size", type=int, default=32)
    made.add_argument("--max-length", type=int, default=256)
    made.add_argument("--repeats", type=int, default=3)
    arguments = made.parse_args()
    import torch

    torch.set_num_threads(threads())
    started = time.perf_counter()
    make = with_pipeline if arguments.how == "pipeline" else with_sorting
    label = make(arguments.model, arguments.batch_size, arguments.max_length)
    loaded, seconds = time.perf_counter() - started, []
    for _ in range(arguments.repeats):
        begun = time.perf_counter()
        texts, _ = read(arguments.data, "test")
        with arguments.output.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["text", "predicted"])
            writer.writerows(zip(texts, label(texts), strict=True))
        seconds.append(time.perf_counter() - begun)
    say(load_seconds=loaded, first_seconds=seconds[0], seconds=sorted(seconds)[len(seconds) // 2], texts=len(texts))


def with_pipeline(folder: str, batch_size: int, max_length: int) -> Callable[[list[str]], list[str]]:
    """As its documentation shows it."""
    from transformers import pipeline

    classify = pipeline("text-classification", model=folder, device="cpu", batch_size=batch_size)

    def label(texts: list[str]) -> list[str]:
        return [said["label"] for said in classify(texts, truncation=True, max_length=max_length)]

    return label


def with_sorting(folder: str, batch_size: int, max_length: int) -> Callable[[list[str]], list[str]]:
    """A person's own short loop: tokenise all, sort by length, fp32."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()

    def label(texts: list[str]) -> list[str]:
        coded = tokenizer(texts, truncation=True, max_length=max_length)["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: len(coded[i]))
        said = [""] * len(texts)
        with torch.inference_mode():
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                batch = tokenizer.pad({"input_ids": [coded[i] for i in rows]}, return_tensors="pt")
                for row, best in zip(rows, model(**batch).logits.argmax(-1).tolist(), strict=True):
                    said[row] = model.config.id2label[best]
        return said

    return label


if __name__ == "__main__":
    main()
