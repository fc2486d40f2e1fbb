"""SetFit on a few rows per label, then test accuracy.

Its default sampling makes pairs of all rows with all rows, hours on a CPU for 77 labels; `--iterations` bounds the
pairs per row, as its documentation proposes.
"""

from __future__ import annotations

import tempfile
import time

from peers.texts import parser, read, say, threads


def main() -> None:
    """Train, and say how it went."""
    made = parser(__doc__)
    made.add_argument("--iterations", type=int, default=5, help="positive and negative pairs per row")
    made.add_argument("--steps", type=int, default=-1, help="stop after so many; -1: one epoch")
    arguments = made.parse_args()
    import numpy as np
    import torch
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    torch.set_num_threads(threads())
    started = time.perf_counter()
    texts, labels = read(arguments.data, "train", "validation")
    test, gold = read(arguments.data, "test")
    names = sorted(set(labels))
    model = SetFitModel.from_pretrained(arguments.checkpoint, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            batch_size=arguments.batch_size,
            num_epochs=1,
            num_iterations=arguments.iterations,
            max_steps=arguments.steps,
            seed=arguments.seed,
            report_to="none",
            save_strategy="no",
            show_progress_bar=False,
        )
        rows = Dataset.from_dict({"text": texts, "label": [names.index(label) for label in labels]})
        Trainer(model=model, args=settings, train_dataset=rows).train()
    trained = time.perf_counter()
    predicted = np.asarray(model.predict(test, as_numpy=True))
    say(
        seconds=time.perf_counter() - started,
        training_seconds=trained - started,
        test_accuracy=float(np.mean([names[int(i)] == label for i, label in zip(predicted, gold, strict=True)])),
    )


if __name__ == "__main__":
    main()
