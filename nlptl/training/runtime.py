"""Where a run happens: device, precision, processes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

from nlptl.config.runtime import RuntimeConfig
from nlptl.errors import ConfigError, LaunchError, LostProcessError, MissingExtraError, unknown
from nlptl.kernels.threads import FreeCores
from nlptl.training.distributed.restart import rendezvous_address
from nlptl.training.precision import choose_precision
from nlptl.training.progress import track
from nlptl.training.resume.preemption import StopFlag

log = logging.getLogger("nlptl")
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Runtime:
    """Device, precision and this process's place among its peers."""

    device: torch.device
    precision: str
    """bf16, fp16 or fp32"""
    rank: int = 0
    processes: int = 1
    accelerator: Any = None
    """The Accelerator of a training run; None for prediction in one process."""
    progress: bool = True
    stop: StopFlag = field(default_factory=StopFlag, compare=False)
    cores: FreeCores = field(default_factory=FreeCores, compare=False)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    @property
    def is_local_main(self) -> bool:
        """Whether this process is the first on its machine."""
        return self.accelerator is None or bool(self.accelerator.is_local_main_process)

    @property
    def is_sharded(self) -> bool:
        """Whether the weights of a prepared model are spread over the processes (FSDP, DeepSpeed)."""
        return self._kind in ("FSDP", "DEEPSPEED")

    @property
    def uses_deepspeed(self) -> bool:
        """Whether DeepSpeed has taken over model and optimizer."""
        return self._kind == "DEEPSPEED"

    @property
    def _kind(self) -> str:
        return "NO" if self.accelerator is None else str(self.accelerator.distributed_type.value)

    @property
    def dtype(self) -> torch.dtype | None:
        """What autocast computes in; None where nothing is cast."""
        return _DTYPES.get(self.precision)

    def autocast(self) -> AbstractContextManager[Any]:
        """The forward pass's precision."""
        return torch.autocast(self.device.type, self.dtype) if self.dtype else nullcontext()

    def measuring(self) -> AbstractContextManager[Any]:
        """For forward passes that nothing is learned from."""
        # Sharded models keep what they gather, and tensors of inference mode could not be learned from later.
        return torch.no_grad() if self.is_sharded else torch.inference_mode()

    def sum(self, array: np.ndarray) -> np.ndarray:
        """Element-wise sum over the processes, on each of them."""
        if self.processes == 1:
            return array
        with self.noticing_loss():
            total = self.accelerator.reduce(torch.from_numpy(array).to(self.device), reduction="sum")
            summed: np.ndarray = total.cpu().numpy()
        return summed

    def broadcast(self, tensor: Tensor) -> None:
        """Overwrite a tensor on this device with the main process's."""
        if self.processes > 1:
            with self.noticing_loss():
                dist.broadcast(tensor, 0)

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.processes > 1:
            with self.noticing_loss():
                self.accelerator.wait_for_everyone()

    def agree(self, text: str) -> str:
        """The main process's text, on each process."""
        if self.processes == 1:
            return text
        letters = np.frombuffer(text.encode() if self.is_main else b"", np.uint8)
        length = int(self.sum(np.array([len(letters)], np.int64))[0])
        return self.sum(letters.copy() if self.is_main else np.zeros(length, np.uint8)).tobytes().decode()

    def any(self, here: bool) -> bool:
        """Whether it holds on at least one process."""
        return bool(self.sum(np.array([here], np.int64))[0])

    @contextmanager
    def noticing_loss(self) -> Iterator[None]:
        """For exchanges between processes: their failure means that a process is gone.

        Raises:
            LostProcessError: another process ended, or did not answer in time.
        """
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if self.processes == 1:
                raise
            raise self._lost(error) from error

    @contextmanager
    def noticing_loss_in_passes(self) -> Iterator[None]:
        """For a whole training: its passes exchange gradients or weights, among errors of other kinds.

        Raises:
            LostProcessError: an exchange failed.
        """
        try:
            yield
        except RuntimeError as error:
            # Gloo's errors have no type of their own.
            if self.processes == 1 or not (isinstance(error, dist.DistError) or "gloo/" in str(error)):
                raise
            raise self._lost(error) from error

    def _lost(self, error: RuntimeError) -> LostProcessError:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return LostProcessError(
            f"Process {self.rank} lost the other processes: one of them ended or cannot be reached ({reason}). "
            "Look for the first error among them, then give the same command again (with --resume, or with the "
            "same --output) to go on from the last saved state."
        )

    def log(self, values: dict[str, float], step: int) -> None:
        """Hand numbers to the trackers, if there are any."""
        if self.accelerator is not None and self.accelerator.trackers:
            self.accelerator.log(values, step=step)

    def track(
        self, items: Iterable[Any] | None, description: str, total: int | None = None, unit: str = "batch"
    ) -> Any:
        """The items, and how far they are shown on the main process; see `nlptl.training.progress`."""
        return track(items, description, total, unit, bars=self.progress, here=self.is_main)


def join_processes(settings: RuntimeConfig, precision: str | None = None) -> Runtime:
    """The runtime that a run's settings ask for; see `start_runtime`.

    Args:
        settings: the run's `runtime` section.
        precision: instead of the one in the settings.
    """
    return start_runtime(
        precision or settings.precision,
        settings.trackers,
        settings.deterministic,
        settings.progress,
        settings.timeout_seconds,
        settings.gradient_compression,
        settings.threads,
    )


def start_runtime(
    precision: str = "auto",
    trackers: list[str] | None = None,
    deterministic: bool = False,
    progress: bool = True,
    timeout_seconds: float = 300.0,
    gradient_compression: str = "none",
    threads: int | None = None,
) -> Runtime:
    """Join the other processes, if the launcher started any, and choose device and precision.

    Args:
        precision: bf16, fp16, fp32 or auto.
        trackers: Accelerate's names of experiment trackers.
        deterministic: ask PyTorch for deterministic kernels.
        progress: show bars, where there is a terminal or a notebook to show them.
        timeout_seconds: how long processes wait for one another before they take the others for lost.
        gradient_compression: none, or the type in which replicas exchange gradients: bf16 or fp16.
        threads: that compute on a CPU; None: see `FreeCores`.

    Raises:
        LaunchError: several processes were launched that do not know each other, or with FSDP of version 1.
        ConfigError: a precision this device cannot compute, or an unknown tracker, or a compression that cannot be had.
    """
    from accelerate import Accelerator, InitProcessGroupKwargs
    from accelerate.state import AcceleratorState, DistributedType, GradientState

    launched = int(os.environ.get("WORLD_SIZE", "1"))
    on_cpu = not torch.accelerator.is_available() or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("true", "1")
    chosen = choose_precision(precision, on_cpu)
    # A second run in the same Python process may want another precision; Accelerate keeps the first one's. Nor would
    # it shard again, unless it finds out anew what kind of processes these are.
    sharded = AcceleratorState._shared_state.get("distributed_type") == DistributedType.FSDP
    AcceleratorState._reset_state(reset_partial_state=sharded)
    GradientState._reset_state()
    group = InitProcessGroupKwargs(init_method=rendezvous_address(), timeout=timedelta(seconds=timeout_seconds))
    accelerator = Accelerator(
        cpu=on_cpu,
        mixed_precision="no" if chosen == "fp32" else chosen,
        log_with=_known_trackers(trackers or []),
        project_dir=".",  # trackers ask for a folder now; theirs is set once the run folder is known
        kwargs_handlers=[group, _replication(gradient_compression, on_cpu)],
    )
    if deterministic != torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(deterministic)  # which imports the compiler
    runtime = Runtime(
        accelerator.device,
        chosen,
        accelerator.process_index,
        accelerator.num_processes,
        accelerator,
        progress,
        cores=FreeCores(threads, follows=on_cpu and not deterministic),
    )
    _check_launch(runtime, launched, gradient_compression)
    return runtime


def _replication(gradient_compression: str, on_cpu: bool) -> Any:
    """How Accelerate makes replicas of a model: buffers never change here, and gradients need no second copy."""
    from accelerate import DistributedDataParallelKwargs
    from accelerate.utils import DDPCommunicationHookType

    if gradient_compression == "bf16" and on_cpu:
        raise ConfigError(
            "runtime.gradient_compression bf16 needs GPUs: PyTorch has it for NCCL alone. On CPUs use fp16 or none."
        )
    hook = DDPCommunicationHookType("no" if gradient_compression == "none" else gradient_compression)
    return DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True, comm_hook=hook)


def _check_launch(runtime: Runtime, launched: int, gradient_compression: str) -> None:
    if runtime.processes != launched:
        raise LaunchError(
            f"{launched} processes were launched, but this one knows {runtime.processes}: they would train "
            "apart. Launch with a config of accelerate_configs/ (`nlptl configs` lists them), or on CPUs with "
            "ACCELERATE_USE_CPU=1 accelerate launch --multi_gpu --num_processes N ..."
        )
    if runtime.is_sharded and not runtime.uses_deepspeed and not runtime.accelerator.is_fsdp2:
        raise LaunchError(
            "The launch asks for FSDP of version 1, which nlptl does not train with. Set fsdp_version: 2 in its "
            "config, or take `nlptl configs fsdp2`."
        )
    if runtime.is_sharded and gradient_compression != "none":
        raise ConfigError(
            f"runtime.gradient_compression {gradient_compression} is for replicas of a model; this launch shards it "
            "(FSDP or DeepSpeed), which has its own way of exchanging gradients. Leave the setting out."
        )
    if runtime.uses_deepspeed and runtime.is_main:
        log.warning(
            "Under DeepSpeed no training state is saved: a run that is stopped starts over. "
            "`nlptl configs fsdp2` shards as well, and its runs go on."
        )


def local_runtime(precision: str = "auto", progress: bool = True) -> Runtime:
    """One process, for prediction."""
    on_cpu = not torch.accelerator.is_available()
    device = torch.device("cpu") if on_cpu else torch.accelerator.current_accelerator()
    return Runtime(device or torch.device("cpu"), choose_precision(precision, on_cpu), progress=progress)


def _known_trackers(names: list[str]) -> list[str] | None:
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
    from accelerate.utils import LoggerType

    known = [str(kind) for kind in LOGGER_TYPE_TO_CLASS]
    for name in names:
        if name not in known:
            raise ConfigError(unknown("tracker", name, known))
    available = [str(kind.value) for kind in get_available_trackers()]
    for name in names:
        if name not in available:
            extra = "nlptl[tensorboard]" if LoggerType(name) == LoggerType.TENSORBOARD else name
            raise MissingExtraError(
                f"The tracker {name!r} needs a package that is not installed: pip install '{extra}'"
            )
    return names or None
