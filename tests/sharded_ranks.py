"""`nlptl` with sharded weights on CPUs: `sharded_ranks.py CONFIG ARGUMENTS...`, as one of several processes.

Accelerate shards only where it sees GPUs. What it has PyTorch (FSDP2) or DeepSpeed do then, they can do over gloo as
well, so here processes on CPUs are told to be processes on GPUs. All else is as under `accelerate launch` with the
config of that name in `accelerate_configs`, whose settings the launcher hands on in the environment.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import torch
import torch.distributed.fsdp
import yaml
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType

from nlptl.storage.paths import bundled

join, begin, shard = PartialState.__init__, AcceleratorState.__init__, torch.distributed.fsdp.fully_shard


def join_as_on_gpus(self: PartialState, *given: Any, **named: Any) -> None:
    join(self, *given, **named)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


def begin_as_on_gpus(self: AcceleratorState, *given: Any, **named: Any) -> None:
    begin(self, *given, **{**named, **({"cpu": False} if "cpu" in named else {})})


def shard_and_say(module: Any, **named: Any) -> Any:
    print("Sharded:", type(module).__name__)
    return shard(module, **named)


def shard_by_fsdp(settings: dict[str, Any]) -> None:
    os.environ |= {name.upper(): str(value) for name, value in settings.items()} | {"ACCELERATE_USE_FSDP": "true"}
    PartialState.__init__ = join_as_on_gpus
    torch.distributed.fsdp.fully_shard = shard_and_say


def shard_by_deepspeed(settings: dict[str, Any]) -> None:
    clip = {"ACCELERATE_GRADIENT_CLIPPING": str(settings.pop("gradient_clipping"))}
    named = {f"ACCELERATE_DEEPSPEED_{name.upper()}": str(value) for name, value in settings.items()}
    os.environ |= {**named, **clip, "ACCELERATE_USE_DEEPSPEED": "true", "DS_ACCELERATOR": "cpu"}
    del os.environ["ACCELERATE_USE_CPU"]
    AcceleratorState.__init__ = begin_as_on_gpus
    PartialState._prepare_backend = lambda *_: ("gloo", DistributedType.MULTI_GPU)
    PartialState.set_device = lambda self: setattr(self, "device", torch.device("cpu"))


if __name__ == "__main__":
    config = yaml.safe_load((bundled("accelerate_configs") / f"{sys.argv[1]}.yaml").read_text())
    if "fsdp_config" in config:
        shard_by_fsdp(config["fsdp_config"])
    else:
        shard_by_deepspeed(config["deepspeed_config"])
    from nlptl.cli import main

    sys.argv[:2] = ["nlptl"]
    main()
