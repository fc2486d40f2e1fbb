"""Encoder, pooling and head as one module, for all kinds of pooling.

`cls` uses transformers' own sequence classifier of the architecture, so that the saved folder opens in plain
transformers. `mean` averages the last token states under a linear head, which no sequence classifier expresses;
`unit_mean` scales the average to length 1 besides.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nlptl.errors import CheckpointError, ConfigError
from nlptl.kernels import packing
from nlptl.kernels.inputs import Inputs
from nlptl.models.encoder import EncoderModel, write_pooling
from nlptl.models.head_files import save_head
from nlptl.models.opening import quiet
from nlptl.models.window_pooling import WindowPooling

WINDOWS = "windows.safetensors"
"""What is learned of pooling over windows, beside a sequence classifier's own file."""


class Classifier(EncoderModel):
    """What training and prediction need of a model: `features`, `logits`, the encoder and the head.

    Shapes: B texts, L tokens, H hidden, C classes.
    """

    pooling: str

    def __init__(self) -> None:
        super().__init__()
        self.windows: WindowPooling | None = None
        """How the windows of a text become one answer; None: each text is one input."""

    @property
    def head(self) -> nn.Linear:
        """The last linear layer, (H -> C)."""
        raise NotImplementedError

    def features(self, inputs: Inputs) -> Tensor:
        """What the last linear layer sees: (B, H); of texts in windows, pooled."""
        return self.outputs(inputs)[0] if "windows" in inputs else self._features(inputs)

    def outputs(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Features (B, H) and logits (B, C) of one forward pass; of texts in windows, pooled."""
        if "windows" not in inputs:
            return self._outputs(inputs)
        rows = {name: tensor for name, tensor in inputs.items() if name != "windows"}
        features, logits = self._outputs(rows)
        return self._pooling_of_windows.outputs(features, logits, inputs["windows"], self._classify)

    def forward(self, inputs: Inputs) -> Tensor:
        """Logits (B, C)."""
        return self.outputs(inputs)[1] if "windows" in inputs else self._logits(inputs)

    def pool_windows(self, way: str | None) -> None:
        """From now on take texts in windows too (`nlptl.data.tokens.encoding.collate`).

        Args:
            way: of `WindowPooling`; None: do not.
        """
        if way is None:
            return
        self.windows = WindowPooling(way, self.head.in_features)
        self.own |= {f"windows.{name}": parameter for name, parameter in self.windows.named_parameters()}

    @property
    def window_width(self) -> int:
        """Columns of `window_outputs`, H + C."""
        return self.head.in_features + self.head.out_features

    def window_outputs(self, inputs: Inputs) -> Tensor:
        """Features and logits side by side of inputs that are windows: (W, H + C), for `pooled_logits`."""
        return torch.cat([part.float() for part in self._outputs(inputs)], 1)

    def pooled_features(self, features: Tensor, bounds: Tensor) -> Tensor:
        """(B, H) of the features (W, H) of windows; text i is windows `bounds[i]` to `bounds[i + 1]`."""
        return self._pooling_of_windows.features(features, bounds)

    def pooled_logits(self, outputs: Tensor, bounds: Tensor) -> Tensor:
        """(B, C) of what `window_outputs` gave for all windows of B texts."""
        width = self.head.in_features
        features, logits = outputs[:, :width], outputs[:, width:]
        return self._pooling_of_windows.outputs(features, logits, bounds, self._classify)[1]

    @property
    def _pooling_of_windows(self) -> WindowPooling:
        if self.windows is None:
            raise ConfigError("This classifier reads no windows: it was not built with model.long_text=windows.")
        return self.windows

    def _outputs(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """`outputs` of inputs that are whole texts, or windows by themselves."""
        raise NotImplementedError

    def _features(self, inputs: Inputs) -> Tensor:
        return self._outputs(inputs)[0]

    def _logits(self, inputs: Inputs) -> Tensor:
        return self._outputs(inputs)[1]

    def _classify(self, features: Tensor) -> Tensor:
        """Logits (B, C) of features (B, H)."""
        logits: Tensor = self.head(features)
        return logits

    def save(self, folder: Path) -> None:
        """Write encoder and head so that `load_classifier` gives them back."""
        raise NotImplementedError

    def pack(self) -> None:
        """From now on take packed inputs too (`nlptl.data.tokens.encoding.collate`), with the same outputs.

        Raises:
            ConfigError: the architecture cannot.
        """
        packing.use_for(self.encoder)


class NativeClassifier(Classifier):
    """The architecture's own sequence classifier (`BertForSequenceClassification` and its like)."""

    pooling = "cls"

    def __init__(self, model: Any, fresh: set[str]) -> None:
        super().__init__()
        self.model = model
        linears = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == model.config.num_labels]
        if not linears:
            raise CheckpointError(f"{type(model).__name__} has no final linear layer to classify with.")
        self._head = [linears[-1]]  # in a list, so that it is not registered a second time
        self._note_own({f"model.{name}" for name in fresh})

    @property
    def encoder(self) -> Any:
        return self.model.base_model

    @property
    def head(self) -> nn.Linear:
        return self._head[0]

    def _outputs(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        seen: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        try:
            logits = self._logits(inputs)
        finally:
            hook.remove()
        return seen[0], logits

    def _logits(self, inputs: Inputs) -> Tensor:
        logits: Tensor = self.model(**packing.arguments(self.config, inputs)).logits
        return logits

    def pack(self) -> None:
        super().pack()
        packing.show_first_tokens(self.encoder)

    def save(self, folder: Path) -> None:
        with quiet():
            self.model.save_pretrained(folder)
        if self.windows is not None and self.windows.query is not None:
            save_file({"query": self.windows.query.detach().cpu()}, folder / WINDOWS)


class MeanPoolingClassifier(Classifier):
    """Average of the last token states, dropout, linear (Reimers & Gurevych 2019 for the pooling).

    Args:
        encoder: a transformers encoder.
        pooling: `mean`, or `unit_mean` for averages scaled to length 1.
        labels: C.
        dropout: before the head.
        fresh: the encoder's parameters that its folder did not hold.
    """

    def __init__(self, encoder: Any, pooling: str, labels: int, dropout: float, fresh: set[str]) -> None:
        super().__init__()
        self.pooling = pooling
        self._encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self._head = nn.Linear(encoder.config.hidden_size, labels)
        nn.init.normal_(self._head.weight, std=0.02)
        nn.init.zeros_(self._head.bias)
        self._note_own({f"_encoder.{name}" for name in fresh})

    @property
    def encoder(self) -> Any:
        return self._encoder

    @property
    def head(self) -> nn.Linear:
        return self._head

    def _features(self, inputs: Inputs) -> Tensor:
        mean = mean_states(packing.token_states(self._encoder, inputs), inputs["attention_mask"])
        return nn.functional.normalize(mean, dim=1) if self.pooling == "unit_mean" else mean

    def _outputs(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        features = self._features(inputs)
        return features, self._classify(features)

    def _classify(self, features: Tensor) -> Tensor:
        logits: Tensor = self._head(self.dropout(features))
        return logits

    def save(self, folder: Path) -> None:
        with quiet():
            self._encoder.save_pretrained(folder / "encoder")
        write_pooling(folder / "encoder", self.pooling, self.config.hidden_size)  # for whoever takes it elsewhere
        save_head(self, folder)


def mean_states(states: Tensor, attention_mask: Tensor) -> Tensor:
    """Average of the token states (B, L, H) that the mask (B, L) does not call padding: (B, H) float32."""
    mask = attention_mask.unsqueeze(-1).to(states.dtype)
    # Summed in float32: bfloat16 would lose low bits of long texts.
    total = (states * mask).sum(1, dtype=torch.float32)
    return total / mask.sum(1, dtype=torch.float32).clamp(min=1.0)
