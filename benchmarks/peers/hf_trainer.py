"""Hugging Face Trainer, plain or with PEFT, set up as transformers' text-classification example does.

AutoModelForSequenceClassification, dynamic padding, and TrainingArguments' defaults: AdamW, linear decay, no warm-up.
`--settings default` leaves it there (fp32, random order); `best` adds what the Trainer offers for speed and was found
fastest on a CPU: bf16 and batches grouped by length. Either `--steps N` (speed), or `--target ACCURACY` (train until
validation reaches it, then measure test).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

from peers.texts import parser, read, say, threads

# With group_by_length the first steps are the longest texts of a window of 50 batches: only whole windows are fair.
WINDOW = 50


def main() -> None:
    """Train, and say how it went."""
    arguments = parse()
    import torch
    from datasets import Dataset, disable_progress_bars
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    from peers.steps import Counted, StepTimes, steady

    torch.set_num_threads(threads())
    disable_progress_bars()
    set_seed(arguments.seed)
    started = time.perf_counter()
    names = sorted(set(read(arguments.data, "train")[1]))
    tokenizer = AutoTokenizer.from_pretrained(arguments.checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(arguments.checkpoint, num_labels=len(names))

    def prepared(split: str) -> Any:
        texts, labels = read(arguments.data, split)
        rows = Dataset.from_dict({"text": texts, "label": [names.index(label) for label in labels]})
        cut = {"truncation": True, "max_length": arguments.max_length}
        return rows.map(lambda batch: tokenizer(batch["text"], **cut), batched=True)

    train, validation = prepared("train"), prepared("validation")
    if arguments.mode == "lora":
        from peft import LoraConfig, TaskType, get_peft_model

        adapters = LoraConfig(task_type=TaskType.SEQ_CLS, r=8, target_modules=["query", "value"])
        model = get_peft_model(model, adapters)
    best = arguments.settings == "best"
    steps = -(-arguments.steps // WINDOW) * WINDOW if best and arguments.steps > WINDOW else arguments.steps
    collator, clock = Counted(DataCollatorWithPadding(tokenizer)), StepTimes(torch.device("cpu"))
    target = UntilTarget(arguments.target, started, arguments.limit) if arguments.target else None
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=arguments.epochs,
                max_steps=steps or -1,
                learning_rate=arguments.learning_rate,
                per_device_train_batch_size=arguments.batch_size,
                per_device_eval_batch_size=arguments.batch_size,
                bf16=best,
                train_sampling_strategy="group_by_length" if best else "random",
                eval_strategy="epoch" if target else "no",
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=True,
                seed=arguments.seed,
            ),
            train_dataset=train,
            eval_dataset=validation,
            data_collator=collator,
            processing_class=tokenizer,
            compute_metrics=accuracy,
            callbacks=[clock, *([target.callback()] if target else [])],
        )
        ready = time.perf_counter()
        trainer.train()
        if target:
            test = trainer.predict(prepared("test"))
            say(**target.report(), test_accuracy=accuracy((test.predictions, test.label_ids))["accuracy"])
            return
    counted = [column[: len(clock.begun)] for column in (collator.rows, collator.real, collator.fed)]
    say(**steady(clock.marks, *counted), start_up_seconds=clock.begun[0] - ready, ready_seconds=ready - started)


def parse() -> argparse.Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--mode", choices=("full", "lora"), default="full")
    made.add_argument("--settings", choices=("default", "best"), default="default")
    made.add_argument("--learning-rate", type=float, default=5e-5, help="default: 5e-5, TrainingArguments' own")
    made.add_argument("--epochs", type=int, default=3)
    made.add_argument("--steps", type=int, default=0, help="stop after so many; 0: all epochs")
    made.add_argument("--target", type=float, help="stop once validation accuracy is this high")
    made.add_argument("--limit", type=float, default=900, help="give the target up after so many seconds")
    return made.parse_args()


def accuracy(output: Any) -> dict[str, float]:
    """Of predictions against the labels that came with them: grouped evaluation reorders both."""
    logits, labels = output
    return {"accuracy": float((logits.argmax(-1) == labels).mean())}


class UntilTarget:
    """Ends a training when validation is good enough, or when time is up."""

    def __init__(self, target: float, started: float, limit: float) -> None:
        self.target, self.started, self.limit = target, started, limit
        self.reached: float | None = None
        self.epochs: list[float] = []
        self.seconds = 0.0

    def callback(self) -> Any:
        """What the Trainer calls."""
        from transformers import TrainerCallback

        outer = self

        class Watch(TrainerCallback):
            """Looks at each validation, and at the clock."""

            def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any, **_: Any) -> None:
                outer.seconds = time.perf_counter() - outer.started
                outer.epochs.append(metrics["eval_accuracy"])
                if outer.reached is None and outer.epochs[-1] >= outer.target:
                    outer.reached = outer.seconds
                    control.should_training_stop = True

            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if time.perf_counter() - outer.started > outer.limit:
                    outer.seconds = time.perf_counter() - outer.started
                    control.should_training_stop = True

        return Watch()

    def report(self) -> dict[str, Any]:
        """Seconds to the target (None: not reached), seconds spent, and validation after each epoch."""
        return {
            "seconds_to_target": self.reached,
            "seconds": self.seconds,
            "epoch": len(self.epochs),
            "best_validation_accuracy": max(self.epochs, default=None),
            "validation_accuracies": self.epochs,
        }


if __name__ == "__main__":
    main()
