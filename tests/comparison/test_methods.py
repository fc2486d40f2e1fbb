"""Names of methods, and the settings that each one is."""

import pytest

from nlptl.comparison.methods import USUAL, known_methods, methods_of
from nlptl.comparison.plan import sizes_of
from nlptl.errors import ConfigError
from nlptl.registry import BASELINES, MODES, STRATEGIES


def test_every_mode_and_baseline_is_a_method_and_every_strategy_or_it_is_said_why_not():
    known = known_methods()
    assert {*BASELINES, *MODES} <= known.keys()
    for name in STRATEGIES:
        if name not in known:
            with pytest.raises(ConfigError, match="is no method to compare"):
                methods_of([name, "full"])
    assert all(known.values())


def test_methods_are_the_usual_ones_and_tell_transfer_from_the_rest():
    kinds = {each.name: each.kind for each in methods_of([*USUAL, "scratch", "tree", "contrastive"])}
    assert kinds == {
        "tfidf": "classical",
        "feature_extraction": "transfer",
        "lora": "transfer",
        "full": "transfer",
        "scratch": "scratch",
        "decision_tree": "classical",
        "contrastive": "transfer",
    }


def test_full_is_the_same_method_at_every_size():
    full, contrastive = methods_of(["full", "contrastive"])
    assert full.runs["full"]["strategy"] == "fine_tune"
    assert contrastive.runs["contrastive"] == {"mode": "full", "strategy": "contrastive"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["full", "lorra"], "Did you mean 'lora'"),
        (["full", "full"], "named twice"),
        (["tree", "decision_tree"], "named twice"),
        (["full"], "two methods or more"),
    ],
)
def test_what_cannot_be_compared_is_refused(names, message):
    with pytest.raises(ConfigError, match=message):
        methods_of(names)


def test_sizes_ascend_with_all_last():
    assert sizes_of(None) == ["8", "32", "128", "512", "all"]
    assert sizes_of(["all", 32, "8", 32]) == ["8", "32", "all"]
    for wrong in (["0"], ["many"], ["-4"], []):
        with pytest.raises(ConfigError, match="size"):
            sizes_of(wrong)
