"""Which rows go together. Texts of like length share a batch, so that little is padding."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

WINDOW = 100
FORWARD_TOKENS = 4096
GPU_TOKENS = 65_536
"""Fewer do not keep a GPU busy for as long as it takes to ask for a pass."""
WORTH, FEW = 0.85, 8


def plan_epoch(lengths: np.ndarray, batch_size: int, seed: int, epoch: int, by_length: bool = True) -> list[np.ndarray]:
    """Rows of each optimizer step of one epoch.

    Rows are shuffled, cut into windows of about 100 batches, sorted by length inside a window, and the batches shuffled
    again: random enough to learn from, with about 3 % padding. The plan is a function of its arguments alone, so any
    number of processes, and a resumed run, see the same stream.

    Args:
        lengths: (rows,) tokens per row.
        batch_size: rows per optimizer step, over all processes.
        seed: of the run.
        epoch: counted from 0.
        by_length: False for plain random order, where nothing is padded and batches of as many tokens are wanted.

    Returns:
        Arrays of row numbers; each row occurs once; only one array may be shorter than `batch_size`.
    """
    rng = np.random.default_rng([seed, 3, epoch])
    order = rng.permutation(len(lengths))
    if not by_length:
        return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    batches = -(-len(order) // batch_size)
    # Windows of even size: a small last one would have little to sort, and so much padding.
    windows = max(1, round(batches / WINDOW))
    edges = [i * batches // windows * batch_size for i in range(windows)] + [len(order)]
    steps: list[np.ndarray] = []
    for start, stop in pairwise(edges):
        window = order[start:stop]
        window = window[np.argsort(lengths[window], kind="stable")]
        steps += [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
    return [steps[i] for i in rng.permutation(len(steps))]


def plan_stretch(lengths: np.ndarray, batch_size: int, seed: int, first: int, steps: int) -> list[np.ndarray]:
    """Some optimizer steps out of an endless run of passes, each pass planned as by `plan_epoch`.

    Args:
        lengths: (rows,) tokens per row.
        batch_size: rows per optimizer step, over all processes.
        seed: of the run.
        first: the first of these steps, counted from 0 over all passes.
        steps: how many.

    Returns:
        Arrays of `pass * rows + row`: a number tells the row and, where it draws something, which time it is seen.
    """
    per_pass = -(-len(lengths) // batch_size)
    planned: list[np.ndarray] = []
    while len(planned) < steps:
        number, skip = divmod(first + len(planned), per_pass)
        plan = plan_epoch(lengths, batch_size, seed, number)[skip : skip + steps - len(planned)]
        planned += [rows + number * len(lengths) for rows in plan]
    return planned


def plan_forward(lengths: np.ndarray, tokens: int = FORWARD_TOKENS) -> list[np.ndarray]:
    """Rows of each forward pass without training: sorted by length, cut at a budget of padded tokens.

    A pass also ends where texts become much shorter than its longest, once it has enough rows to be worth a pass.

    Args:
        lengths: (rows,) tokens per row.
        tokens: most tokens per pass, padding included; a longer text goes alone.

    Returns:
        Arrays of row numbers, longest texts first; each row occurs once.
    """
    order = np.argsort(-lengths, kind="stable")
    falling = lengths[order]
    batches, start = [], 0
    while start < len(order):
        longest = max(int(falling[start]), 1)
        stop = start + max(1, tokens // longest)
        # Position of the first text shorter than the share of the longest that is still worth padding.
        similar = int(np.searchsorted(-falling, -WORTH * longest, side="right"))
        batches.append(order[start : min(stop, max(similar, start + FEW))])
        start += len(batches[-1])
    return batches


def padding_share(lengths: np.ndarray, batches: list[np.ndarray]) -> float:
    """Share of padding among the tokens that these batches feed to the model, each padded to its longest row."""
    fed = sum(len(rows) * int(lengths[rows].max()) for rows in batches if len(rows))
    real = sum(int(lengths[rows].sum()) for rows in batches)
    return 1.0 - real / fed if fed else 0.0
