import torch

from nlptl.objectives.contrastive import contrast_losses


def test_the_loss_falls_as_the_two_views_agree():
    torch.manual_seed(0)
    first = torch.randn(6, 16)
    noise = torch.randn(6, 16)
    means = [contrast_losses(first, first + share * noise, 0.05).mean().item() for share in (0.0, 0.5, 5.0)]
    assert means == sorted(means)
    assert means[0] < 0.1


def test_length_does_not_matter_and_a_lone_row_has_nothing_to_learn():
    torch.manual_seed(0)
    first, second = torch.randn(4, 8), torch.randn(4, 8)
    torch.testing.assert_close(contrast_losses(first, second, 0.1), contrast_losses(3 * first, second, 0.1))
    assert contrast_losses(first[:1], second[:1], 0.1).tolist() == [0.0]


def test_the_formula():
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    expected = torch.log(1 + torch.exp(torch.tensor(-2.0)))
    torch.testing.assert_close(contrast_losses(first, first, 0.5), expected.repeat(2))
