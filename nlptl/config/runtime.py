"""Where and how a run computes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nlptl.config.records import NOT_FEATURES, NOTHING, Record, Size


class RuntimeConfig(Record):
    """Where and how it runs; nothing here changes what is learned, beyond rounding and the order of batches."""

    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """auto: what the accelerate config says, else bf16 where the hardware computes it fast, else fp32."""
    trackers: list[str] = Field(default=[], json_schema_extra=NOTHING)
    """Experiment trackers by Accelerate's names, such as tensorboard or wandb."""
    gradient_checkpointing: bool = Field(default=False, json_schema_extra=NOT_FEATURES)
    """Recompute activations in the backward pass: less memory, more time."""
    compile: bool = Field(default=False, json_schema_extra=NOT_FEATURES)
    """Compile the encoder's layers before training (torch.compile, dynamic shapes). Pays on GPUs in long trainings with
    large batches; on CPUs small models become slower. Needs a C compiler."""
    kernels: Literal["auto", "off"] = "auto"
    """auto: replace computations of PyTorch, transformers and PEFT by faster ones that give the same results up to
    rounding: attention over short texts, activations in bf16, LoRA layers, weights rounded once, word embeddings of
    the occurring tokens alone, packing, CUDA graphs. off: none of them; models compute as these libraries have it."""
    packing: Literal["auto", "on", "off"] = "auto"
    """Compute batches without padding, all tokens in one row; outputs are the same up to rounding. Takes bert,
    camembert, distilbert, electra, roberta and xlm-roberta, in training and in the run's own forward passes. Attention
    uses a kernel of its own on NVIDIA GPUs from compute capability 8.0 in bf16 or fp16 without dropout, and is padded
    elsewhere. auto: where that kernel serves; on CPUs texts of like length share a batch, so that little is padding."""
    cuda_graphs: bool = Field(default=True, json_schema_extra=NOT_FEATURES)
    """On NVIDIA GPUs, where packing uses that kernel: capture the passes of training as CUDA graphs, once per shape,
    and replay them, so that the processor does not launch each kernel by itself. Batches then come in plain random
    order. Takes memory for the graphs. Not with gradient_checkpointing or sharded weights; several processes take the
    same batches without graphs."""
    deterministic: bool = False
    """Ask PyTorch for deterministic kernels; an operation that has none is an error."""
    threads: Annotated[int, Field(ge=1)] | None = Field(default=None, json_schema_extra=NOTHING)
    """Threads that compute on a CPU. None: as many as there are cores that other programs leave free, looked at every
    two seconds; always the same number where OMP_NUM_THREADS is set, or with deterministic. The number changes results
    by rounding at most."""
    timeout_seconds: Annotated[float, Field(ge=1)] = Field(default=300.0, json_schema_extra=NOTHING)
    """How long processes wait for one another before they take the others for lost. A process that dies is noticed at
    once on CPUs; one that hangs or is cut off, after this time."""
    gradient_compression: Literal["none", "bf16", "fp16"] = Field(default="none", json_schema_extra=NOT_FEATURES)
    """With several processes that each hold the whole model: the type in which they exchange gradients, half as many
    bytes for a little precision. bf16 on GPUs only; fp16 overflows above 65 504, which stops the training."""
    measure_peak: bool = Field(default=False, json_schema_extra=NOTHING)
    """Also measure this machine's matrix-multiply peak (a second), and say what share of it training reached."""
    progress: bool = Field(default=True, json_schema_extra=NOTHING)
    """Progress bars, on a terminal or in a notebook. Elsewhere, or without, the log says how far long work is."""
    cache_limit: Size | None = Field(default=None, json_schema_extra=NOTHING)
    """Most that `nlptl cache` may hold, such as 20GB; 0: nothing. None: the variable NLPTL_CACHE_LIMIT, else 10GB."""

    @model_validator(mode="after")
    def _packing_is_one_of_the_kernels(self) -> RuntimeConfig:
        if self.kernels == "off" and self.packing == "on":
            raise ValueError(
                "packing=on computes batches through nlptl's own attention, which kernels=off leaves out. "
                "Use packing=auto (or off), or kernels=auto"
            )
        return self
