"""What the loop asks of anything it trains, and what every model on a checkpoint's encoder shares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nlptl.errors import ConfigError
from nlptl.kernels import OFF, KernelSettings, packing
from nlptl.storage.json_files import write_json


class Trainable(nn.Module):
    """What the loop and the optimizer ask of a model, whether it has an encoder or not."""

    own: dict[str, nn.Parameter]
    """What the checkpoint did not bring: the head, and any layer transformers had to start from noise."""
    kernels: KernelSettings = OFF
    """The faster computations that `nlptl.kernels.enable` put in place of those of its libraries."""
    rounds_shapes = False
    """Whether packed training batches are filled up so that few shapes occur, as CUDA graphs need them."""

    @property
    def encoder(self) -> Any | None:
        """The transformer that learns, a transformers PreTrainedModel; None where there is none."""
        return None

    @property
    def depth(self) -> int:
        """Layers of the encoder; each may learn at a rate of its own."""
        return 0

    @property
    def packs(self) -> bool:
        """Whether it takes packed inputs beside padded ones (`Classifier.pack`)."""
        return False


class EncoderModel(Trainable):
    """A transformer encoder and what stands on it."""

    continued: tuple[Any, ...] | list[Any] = ()
    """The PEFT model around the encoder, where an earlier run's adapter is trained on; not a module of its own."""

    @property
    def encoder(self) -> Any:
        """The transformer, a transformers PreTrainedModel."""
        raise NotImplementedError

    @property
    def config(self) -> Any:
        """The checkpoint's transformers configuration."""
        return self.encoder.config

    @property
    def depth(self) -> int:
        return int(getattr(self.config, "num_hidden_layers", 0))

    @property
    def packs(self) -> bool:
        return getattr(self.config, "_attn_implementation", None) == packing.NAME

    def save(self, folder: Path) -> None:
        """Write what was learned, as the subclass says."""
        raise NotImplementedError

    def _note_own(self, fresh: set[str]) -> None:
        """Remember which parameters are not the checkpoint's, before adapters rename anything."""
        inside = {id(p) for p in self.encoder.parameters()}
        self.own = {name: p for name, p in self.named_parameters() if id(p) not in inside or name in fresh}


def compile_layers(model: Trainable, backend: str = "inductor") -> None:
    """Compile each layer of the encoder in place (torch.compile, dynamic shapes).

    Layers are alike, so that one compilation serves all of them; names of parameters stay the same.

    Args:
        model: an encoder that is no stack of layers is compiled as a whole; without an encoder nothing is done.
        backend: of torch.compile.
    """
    encoder = model.encoder
    if encoder is None:
        return
    stacks = (m for m in encoder.modules() if isinstance(m, nn.ModuleList) and len({type(n) for n in m}) == 1)
    for layer in next(stacks, [encoder]):
        layer.compile(dynamic=True, backend=backend)


def is_compiled(model: nn.Module) -> bool:
    """Whether `compile_layers` was here."""
    return any(module._compiled_call_impl is not None for module in model.modules())


def trainable_weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of what learns, on the CPU."""
    return {name: p.detach().to("cpu", copy=True) for name, p in model.named_parameters() if p.requires_grad}


def put_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy weights into the parameters of these names."""
    own = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in weights.items():
            own[name].copy_(tensor)


def keep_layers(model: EncoderModel, layers: int) -> None:
    """Let an encoder keep so many of its layers, evenly spaced, the first and the last among them (Sanh et al. 2019).

    Args:
        model: changed in place.
        layers: from 1 to as many as it has.

    Raises:
        ConfigError: more layers than there are, or an architecture whose layers are no plain list.
    """
    depth = model.depth
    homes = [
        (parent, name, child)
        for parent in model.encoder.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == depth
    ]
    if layers > depth or len(homes) != 1:
        what = f"has {depth} layers" if layers > depth else "does not hold its layers in one list"
        raise ConfigError(f"{layers} layers are to be kept (distillation.layers), but the encoder {what}.")
    ((parent, name, child),) = homes
    kept = torch.linspace(0, depth - 1, layers).round().long().tolist() if layers > 1 else [0]
    setattr(parent, name, nn.ModuleList(child[i] for i in kept))
    model.config.num_hidden_layers = layers


def write_pooling(folder: Path, pooling: str, width: int) -> None:
    """Note beside an encoder how its token states become one vector, as sentence-transformers does.

    Args:
        folder: of the encoder.
        pooling: cls, mean or unit_mean, whose scaling to length 1 is no part of this file.
        width: H.
    """
    (folder / "1_Pooling").mkdir(exist_ok=True)
    write_json(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": width,
            "pooling_mode_cls_token": pooling == "cls",
            "pooling_mode_mean_tokens": pooling != "cls",
        },
    )
