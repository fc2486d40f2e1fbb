"""Which computations of PyTorch, transformers and PEFT a model replaces by faster ones."""

from __future__ import annotations

from dataclasses import dataclass

from nlptl.config.runtime import RuntimeConfig


@dataclass(frozen=True)
class KernelSettings:
    """Each faster computation by itself; without arguments all that serve padded batches on every device."""

    attention: bool = True
    """Explicit matrix products as attention over short texts, in bf16 on CPUs (`nlptl.kernels.attention`)."""
    bf16_activations: bool = True
    """Activations in bf16 from the embeddings on, where autocast computes in bf16 (`nlptl.kernels.bf16`)."""
    rounded_weights: bool = True
    """Weights of linear layers rounded once instead of in every pass, where they do not learn meanwhile
    (`nlptl.kernels.bf16`)."""
    fused_adapters: bool = True
    """LoRA layers with fewer passes over their activations (`nlptl.kernels.adapters`)."""
    used_words: bool = True
    """In training, word embeddings of those tokens alone that occur (`nlptl.kernels.embeddings`)."""
    packing: bool = False
    """Batches without padding beside padded ones (`nlptl.kernels.packing`)."""
    cuda_graphs: bool = False
    """Training passes captured as CUDA graphs (`nlptl.kernels.cuda_graphs`); needs packing."""

    @classmethod
    def of(cls, asked: RuntimeConfig) -> KernelSettings:
        """What a run asks for, for a model that is given padded batches only."""
        return cls() if asked.kernels == "auto" else OFF

    @classmethod
    def for_training(cls, asked: RuntimeConfig, packing_pays: bool, shapes_can_be_rounded: bool) -> KernelSettings:
        """What a run asks for, for a classifier that is trained.

        Args:
            asked: the run's settings.
            packing_pays: whether packing is faster here (`nlptl.kernels.packing.pays`).
            shapes_can_be_rounded: whether batches can be filled up so that few shapes occur, as CUDA graphs need.
        """
        if asked.kernels == "off":
            return OFF
        packed = packing_pays if asked.packing == "auto" else asked.packing == "on"
        graphs = asked.cuda_graphs and not asked.gradient_checkpointing
        return cls(packing=packed, cuda_graphs=graphs and packed and packing_pays and shapes_can_be_rounded)


OFF = KernelSettings(
    attention=False, bf16_activations=False, rounded_weights=False, fused_adapters=False, used_words=False
)
"""Nothing is replaced: plain PyTorch, transformers and PEFT."""
