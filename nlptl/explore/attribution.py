"""What each word adds to a logit of a classifier on an encoder: integrated gradients on the word embeddings.

    share_i = sum over h of (x_ih - b_ih) * integral over a in [0, 1] of d logit(b + a (x - b)) / d x_ih

with the word embeddings x of the text, and b where each token but the special ones is padding (Sundararajan et al.
2017). Positions, token types, special tokens and the attention mask are those of the text all the way, so that the
shares add up to logit(x) - logit(b). The model computes in float32 without any of `nlptl.kernels`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nlptl.data.tokens.encoding import Encoded, collate
from nlptl.errors import ConfigError, MissingExtraError
from nlptl.explore.token_places import Place, token_places
from nlptl.inference.explanation import GAP, Attribution, relative
from nlptl.inference.turns import Turn
from nlptl.inference.words import as_read, word_at, words_of
from nlptl.runs.artifact import Artifact
from nlptl.runs.lineage import open_classifier
from nlptl.training.runtime import Runtime

STEPS = (16, 64, 256)
"""Points of the integral: more are taken until the gap is below `GAP`, or there are no more."""
TOKENS_AT_ONCE = 4096
"""Of all points that are computed in one pass; a single point of a longer text is one pass."""
MOST_TOKENS = 8192
"""Of a text; the gradients of one with more would fill the memory."""
METHOD = "integrated gradients"

Forward = Callable[[Tensor], Tensor]


class Input(NamedTuple):
    """One text as the model takes it: W windows of L tokens."""

    tensors: dict[str, Tensor]
    embedded: Tensor
    """(1, W, L, H) word embeddings."""
    base: Tensor
    """The same with padding in the place of all but special tokens."""
    places: list[list[Place | None]]
    """Of each window, where each token stands; None for special ones."""


class IntegratedGradients:
    """Explains runs on encoders, in every mode.

    Args:
        artifact: the run.
        runtime: whose device it computes on.

    Raises:
        MissingExtraError: captum is not installed.
    """

    def __init__(self, artifact: Artifact, runtime: Runtime) -> None:
        try:
            import captum.attr  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("Explanations need captum: pip install 'nlptl[evidence]'") from error
        self._artifact, self._encoder = artifact, artifact.encoder
        tasks = [head.task for head in artifact.heads]
        # A model of its own: the run's may compute by kernels, rounded or packed, which an explanation must not see.
        self._model, _ = open_classifier(artifact.folder, artifact.config, tasks, artifact.manifest)
        self._model.eval().requires_grad_(False).to(runtime.device)
        self._device = runtime.device
        self._turn = Turn()
        self._given: Tensor | None = None
        self._model.encoder.get_input_embeddings().register_forward_hook(self._replaced)

    def attribute(self, texts: Sequence[str], column: int) -> Attribution:
        """What the words of a text, or of a pair, add to a column of the logits.

        Args:
            texts: one text, or two.
            column: of the logits.

        Raises:
            ConfigError: the tokenizer does not say where its tokens stand, the text is too long, or the encoder does
                not read word embeddings.
        """
        with self._turn:
            given = self._input(texts)
            forward = self._forward(given, column)
            logit, base = (float(forward(each)) for each in (given.embedded, given.base))
            tokens, steps = self._shares(forward, given, logit - base)
        shares, special = _by_word(texts, given.places, tokens)
        return Attribution(
            shares, special, logit, base, METHOD, steps, _unread(texts, given.places), windows=len(given.places)
        )

    def _input(self, texts: Sequence[str]) -> Input:
        read = [as_read(self._artifact, text) for text in texts]
        frame = pd.DataFrame([texts], columns=["text", "text_pair"][: len(texts)], dtype=object)
        encoded: Encoded = self._encoder.prepare(frame)
        if len(encoded.tokens) > MOST_TOKENS:
            raise ConfigError(
                f"The text has {len(encoded.tokens)} tokens; at most {MOST_TOKENS} are explained. Cut it into parts."
            )
        places = token_places(self._encoder, read, encoded)
        pad = int(self._encoder.tokenizer.pad_token_id)
        tensors = collate(encoded, np.arange(len(encoded)), pad, self._device)
        ids = tensors["input_ids"]
        own = torch.zeros_like(ids, dtype=torch.bool)
        for window, found in enumerate(places):
            own[window, : len(found)] = torch.tensor([place is not None for place in found], device=ids.device)
        words = self._model.encoder.get_input_embeddings()
        with torch.no_grad():
            self._given = None
            embedded, base = words(ids), words(ids.masked_fill(own, pad))
        return Input(tensors, embedded[None].float(), base[None].float(), places)

    def _forward(self, given: Input, column: int) -> Forward:
        """Word embeddings (S, W, L, H) of S versions of a text to their logits (S,)."""
        windows = len(given.places)

        def forward(embedded: Tensor) -> Tensor:
            versions = len(embedded)
            inputs = {name: tensor.repeat(versions, 1) for name, tensor in given.tensors.items() if name != "windows"}
            if "windows" in given.tensors:
                inputs["windows"] = torch.arange(versions + 1, device=embedded.device) * windows
            self._given = embedded.flatten(0, 1)
            try:
                logits: Tensor = self._model(inputs)[:, column]
                if self._given is not None:
                    raise ConfigError("This encoder does not read the word embeddings it has; it cannot be explained.")
            finally:
                self._given = None
            return logits

        return forward

    def _replaced(self, module: Any, arguments: Any, output: Tensor) -> Tensor:
        """Hook of the word embeddings: what was given instead, once."""
        given, self._given = self._given, None
        return output if given is None else given

    def _shares(self, forward: Forward, given: Input, difference: float) -> tuple[np.ndarray, int]:
        """(W, L) what each token adds, and with how many points of the integral that was found."""
        from captum.attr import IntegratedGradients as Integrated

        at_once = max(1, TOKENS_AT_ONCE // (given.embedded.shape[1] * given.embedded.shape[2]))
        for steps in STEPS:
            found = Integrated(forward).attribute(
                given.embedded, baselines=given.base, n_steps=steps, internal_batch_size=at_once
            )
            shares = found.detach()[0].double().sum(-1).cpu().numpy()
            if relative(abs(float(shares.sum()) - difference), difference) <= GAP:
                break
        return shares, steps


def _by_word(
    texts: Sequence[str], places: list[list[Place | None]], tokens: np.ndarray
) -> tuple[list[np.ndarray], float]:
    """Shares of words, and what is left to special tokens; padding between windows has none."""
    words = [words_of(text) for text in texts]
    shares, special = [np.zeros(len(found)) for found in words], 0.0
    for window, row in zip(places, tokens, strict=True):
        for place, share in zip(window, row, strict=False):
            word = None if place is None else word_at(words[place.text], texts[place.text], place.span)
            if place is None or word is None:
                special += float(share)
            else:
                shares[place.text][word] += float(share)
    return shares, special


def _unread(texts: Sequence[str], places: list[list[Place | None]]) -> int:
    """Words of which the run reads no letter."""
    words = [words_of(text) for text in texts]
    read = [np.zeros(len(found), bool) for found in words]
    for place in (place for window in places for place in window if place is not None):
        known = words[place.text]
        first = bisect_right(known, place.span.start, key=lambda word: word.stop)
        last = bisect_left(known, place.span.stop, key=lambda word: word.start)
        read[place.text][first:last] = True
    return sum(int((~found).sum()) for found in read)
