"""What a run keeps of its answers on validation and test."""

import numpy as np
import pytest

from nlptl.errors import ArtifactError
from nlptl.runs.answers import FILE, SplitAnswers, read_answers, write_answers

ANSWERS = {
    split: SplitAnswers(np.full((3, 2), place, np.float32), np.array([0, 1, 1]))
    for place, split in enumerate(("validation", "test"))
}


def test_answers_come_back_as_they_were(tmp_path):
    write_answers(tmp_path, ANSWERS)
    found = read_answers(tmp_path)
    assert [*found] == ["validation", "test"]
    for split, each in found.items():
        np.testing.assert_array_equal(each.logits, ANSWERS[split].logits)
        np.testing.assert_array_equal(each.targets, ANSWERS[split].targets)


def test_a_run_that_kept_none_says_so(tmp_path):
    with pytest.raises(ArtifactError, match="Train it again: nlptl train --config"):
        read_answers(tmp_path)


@pytest.mark.parametrize("damage", ["not safetensors", "lacks test", "other rows"])
def test_damage_is_named(tmp_path, damage):
    if damage == "not safetensors":
        (tmp_path / FILE).write_bytes(b"{}")
    elif damage == "lacks test":
        write_answers(tmp_path, {"validation": ANSWERS["validation"]})
    else:
        write_answers(tmp_path, {**ANSWERS, "test": SplitAnswers(np.zeros((2, 2), np.float32), np.zeros(3, np.int64))})
    with pytest.raises(ArtifactError, match=f"{FILE} is damaged"):
        read_answers(tmp_path)
