import pytest
import torch
from torch import nn

from nlptl.training.profile import encoder_flops, matmul_peak, peak_memory
from nlptl.training.runtime import Runtime


def test_training_costs_three_times_the_forward_pass():
    encoder = nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, 16), nn.Linear(16, 8))
    assert encoder_flops(encoder, 10, training=False) == 2 * (8 * 16 + 16 * 8) * 10
    assert encoder_flops(encoder, 10, training=True) == 3 * encoder_flops(encoder, 10, training=False)


def test_memory_grows_with_what_is_held():
    before = peak_memory(torch.device("cpu"))
    held = torch.ones(60_000_000)
    assert peak_memory(torch.device("cpu")) >= before
    assert peak_memory(torch.device("cpu")) > held.nbytes


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_peak_is_a_speed(precision):
    assert matmul_peak(Runtime(torch.device("cpu"), precision)) > 1e6
