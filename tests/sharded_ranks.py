"""`nlptl` with sharded weights (FSDP2) on CPUs: `sharded_ranks.py ARGUMENTS...`, as one of several processes.

Accelerate shards only where it sees GPUs. What it does then, PyTorch can do over gloo as well, so here processes on
CPUs are told to be processes on GPUs once they have met. All else is as under `accelerate launch` with
`accelerate_configs/fsdp2.yaml`, whose settings the launcher hands on in the environment.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import torch.distributed.fsdp
import yaml
from accelerate.state import PartialState
from accelerate.utils import DistributedType

from nlptl.resources import bundled

meet, cut_up = PartialState.__init__, torch.distributed.fsdp.fully_shard


def meet_as_on_gpus(self: PartialState, *given: Any, **named: Any) -> None:
    meet(self, *given, **named)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


def cut_up_and_say(module: Any, **named: Any) -> Any:
    print("Cut up:", type(module).__name__)
    return cut_up(module, **named)


if __name__ == "__main__":
    settings = yaml.safe_load((bundled("accelerate_configs") / "fsdp2.yaml").read_text())["fsdp_config"]
    os.environ |= {name.upper(): str(value) for name, value in settings.items()} | {"ACCELERATE_USE_FSDP": "true"}
    PartialState.__init__ = meet_as_on_gpus
    torch.distributed.fsdp.fully_shard = cut_up_and_say
    from nlptl.cli import main

    sys.argv[0] = "nlptl"
    main()
