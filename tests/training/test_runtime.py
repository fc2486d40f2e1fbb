import inspect
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file

import nlptl
from nlptl.errors import ConfigError, LaunchError, MissingExtraError
from nlptl.storage.paths import bundled
from nlptl.training.precision import choose_precision
from nlptl.training.runtime import local_runtime, start_runtime

CONFIGS = sorted(path.stem for path in bundled("accelerate_configs").glob("*.yaml"))


@pytest.mark.parametrize("name", CONFIGS)
def test_accelerate_reads_its_config(name):
    config = load_config_from_file(str(bundled("accelerate_configs") / f"{name}.yaml"))
    expected = {
        "cpu": ("MULTI_GPU", 2),
        "single_gpu": ("NO", 1),
        "multi_gpu": ("MULTI_GPU", 8),
        "multi_node": ("MULTI_GPU", 16),
        "fsdp2": ("FSDP", 8),
        "deepspeed_zero2": ("DEEPSPEED", 8),
        "deepspeed_zero3": ("DEEPSPEED", 8),
    }
    kind = getattr(config.distributed_type, "value", config.distributed_type)
    assert (kind, config.num_processes) == expected[name]
    assert config.use_cpu is (name == "cpu")
    assert config.mixed_precision == ("no" if name == "cpu" else "bf16")


def test_sharding_configs_say_what_is_sharded():
    stages = {}
    for name in ("deepspeed_zero2", "deepspeed_zero3", "fsdp2"):
        config = load_config_from_file(str(bundled("accelerate_configs") / f"{name}.yaml"))
        stages[name] = config.deepspeed_config.get("zero_stage") or config.fsdp_config.get("fsdp_version")
    assert stages == {"deepspeed_zero2": 2, "deepspeed_zero3": 3, "fsdp2": 2}


def test_one_process_alone():
    runtime = start_runtime("fp32", progress=False)
    assert (runtime.rank, runtime.processes, runtime.is_main, runtime.is_sharded) == (0, 1, True, False)
    np.testing.assert_array_equal(runtime.sum(np.arange(3)), np.arange(3))
    assert runtime.agree("sentiment-full-ü") == "sentiment-full-ü"


def test_processes_that_do_not_know_each_other_are_refused(monkeypatch):
    start_runtime("fp32")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(LaunchError, match=r"2 processes were launched, but this one knows 1.*accelerate launch"):
        start_runtime("fp32")


def sharding(monkeypatch, kind: str, **more: bool) -> None:
    """Let Accelerate say that it shards in some way."""
    named = {"distributed_type": SimpleNamespace(value=kind), "num_processes": 1, "process_index": 0, **more}
    monkeypatch.setattr("accelerate.Accelerator", lambda **_: SimpleNamespace(device=torch.device("cpu"), **named))


def test_the_first_version_of_fsdp_is_refused(monkeypatch):
    sharding(monkeypatch, "FSDP", is_fsdp2=False)
    with pytest.raises(LaunchError, match="FSDP of version 1.*Set fsdp_version: 2"):
        start_runtime("fp32")
    sharding(monkeypatch, "FSDP", is_fsdp2=True)
    runtime = start_runtime("fp32")
    assert runtime.is_sharded
    assert not runtime.uses_deepspeed


@pytest.mark.parametrize(("asked", "hook"), [("none", "no"), ("fp16", "fp16")])
def test_replicas_exchange_gradients_in_the_type_that_was_asked_for(asked, hook):
    handler = start_runtime("fp32", gradient_compression=asked).accelerator.ddp_handler
    assert handler.comm_hook.value == hook
    assert handler.gradient_as_bucket_view and not handler.broadcast_buffers and not handler.find_unused_parameters


def test_a_compression_that_cannot_be_had_is_refused(monkeypatch):
    with pytest.raises(ConfigError, match=r"runtime\.gradient_compression bf16 needs GPUs.*fp16 or none"):
        start_runtime("fp32", gradient_compression="bf16")
    sharding(monkeypatch, "FSDP", is_fsdp2=True)
    with pytest.raises(ConfigError, match="fp16 is for replicas of a model; this launch shards it"):
        start_runtime("fp32", gradient_compression="fp16")


class Joined(Exception):
    """Carries what `start_runtime` was called with."""


@pytest.mark.parametrize("verb", ["train", "pretrain"])
def test_training_and_pretraining_join_the_processes_as_the_settings_say(monkeypatch, tiny, obvious, tmp_path, verb):
    names = list(inspect.signature(start_runtime).parameters)

    def join(*given):
        raise Joined(dict(zip(names, given, strict=True)))

    monkeypatch.setattr("nlptl.training.runtime.start_runtime", join)
    asked = {"timeout_seconds": 7.0, "gradient_compression": "fp16", "deterministic": True, "progress": False}
    settings = {f"runtime.{name}": value for name, value in asked.items()}
    with pytest.raises(Joined) as caught:
        if verb == "pretrain":
            nlptl.pretrain(obvious, checkpoint=tiny["bert"], steps=1, output=tmp_path / "out", settings=settings)
        else:
            nlptl.train("sentiment", data=obvious, checkpoint=tiny["bert"], output=tmp_path / "out", settings=settings)
    (given,) = caught.value.args
    assert {name: given[name] for name in asked} == asked


def test_a_deepspeed_run_says_once_that_it_saves_no_state(monkeypatch, caplog):
    sharding(monkeypatch, "DEEPSPEED")
    with caplog.at_level("WARNING", "nlptl"):
        assert start_runtime("fp32").uses_deepspeed
    assert caplog.text.count("no training state is saved") == 1


def test_a_second_run_may_choose_another_precision():
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp32", torch.float32)):
        runtime = start_runtime(precision, progress=False)
        assert runtime.precision == precision
        layer = torch.nn.Linear(2, 2).to(runtime.device)
        for context in (runtime.autocast, runtime.accelerator.autocast):
            with context():
                assert layer(torch.ones(1, 2, device=runtime.device)).dtype == dtype


def test_deterministic_kernels_are_asked_for_run_by_run():
    try:
        start_runtime("fp32", deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        start_runtime("fp32")
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_precision_that_was_asked_for_is_taken(precision, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    assert choose_precision(precision, on_cpu=True) == precision


def test_auto_takes_the_choice_of_the_launcher(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert choose_precision("auto", on_cpu=True) == "bf16"
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp16")
    with pytest.raises(ConfigError, match="needs a GPU"):
        choose_precision("auto", on_cpu=True)


@pytest.mark.parametrize(
    ("abilities", "expected"), [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx2": True}, "fp32")]
)
def test_auto_on_a_cpu_asks_what_it_multiplies(monkeypatch, abilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    assert choose_precision("auto", on_cpu=True) == expected


@pytest.mark.parametrize("start", [start_runtime, local_runtime])
def test_fp16_on_a_cpu_is_refused(start, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="fp16 needs a GPU"):
        start("fp16")


def test_an_unknown_tracker_is_suggested_a_known_one():
    with pytest.raises(ConfigError, match=r"Unknown tracker 'tensorbord'.*Did you mean 'tensorboard'"):
        start_runtime("fp32", ["tensorbord"])


@pytest.mark.parametrize(("name", "package"), [("tensorboard", r"nlptl\[tensorboard\]"), ("wandb", "wandb")])
def test_a_tracker_that_is_not_installed_names_its_package(monkeypatch, name, package):
    monkeypatch.setattr("accelerate.tracking.get_available_trackers", list)
    with pytest.raises(MissingExtraError, match=f"pip install '{package}'"):
        start_runtime("fp32", [name])


def test_bars_are_shown_where_asked_for_and_on_the_main_process_only(capsys, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = local_runtime("fp32", progress=True)
    for runtime in (replace(shown, progress=False), replace(shown, rank=1)):
        assert list(runtime.track(range(3), "counting")) == [0, 1, 2]
        assert "counting" not in capsys.readouterr().err
    assert list(shown.track(range(3), "counting")) == [0, 1, 2]
    assert "counting" in capsys.readouterr().err


def test_the_tests_train_on_the_cpu():
    assert os.environ["ACCELERATE_USE_CPU"] == "1"
    assert start_runtime("fp32").device.type == "cpu"
