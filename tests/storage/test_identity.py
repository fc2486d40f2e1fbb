import numpy as np
import pytest

from nlptl.storage.identity import array_digest, identity, texts_digest, versions


def test_the_order_of_keys_does_not_matter():
    assert identity(a=1, b={"x": 1, "y": [1, 2]}) == identity(b={"y": [1, 2], "x": 1}, a=1)


@pytest.mark.parametrize(
    "other",
    [{"a": 2}, {"a": "1"}, {"a": 1.5}, {"a": True}, {"a": [1]}, {"a": None}, {"b": 1}, {"a": 1, "b": None}, {}],
)
def test_everything_else_does(other):
    assert identity(a=1) != identity(**other)


def test_what_cannot_be_written_exactly_is_refused():
    for value in (object(), np.float32(1), {1, 2}):
        with pytest.raises(TypeError):
            identity(a=value)
    with pytest.raises(ValueError, match="not JSON compliant"):
        identity(a=float("nan"))


@pytest.mark.parametrize(
    "other", [np.zeros((3, 2)), np.zeros(6), np.zeros((2, 3), np.float32), np.ones((2, 3)), np.zeros((2, 4)), None]
)
def test_arrays_differ_by_shape_type_and_content(other):
    assert array_digest(np.zeros((2, 3))) != array_digest(other)


def test_an_array_is_the_same_however_it_lies_in_memory():
    array = np.arange(6).reshape(2, 3)
    assert array_digest(array) == array_digest(np.asfortranarray(array))


@pytest.mark.parametrize(
    "other", [["ab", "c"], ["a", "bc", ""], ["abc"], ["a", "bC"], ["a", "bc!"], ["a", "bc "], ["bc", "a"], ["a\0bc"]]
)
def test_texts_are_the_same_only_letter_by_letter_and_border_by_border(other):
    assert texts_digest(["a", "bc"]) != texts_digest(other)


def test_half_characters_have_a_digest():
    assert texts_digest(["\ud800"]) != texts_digest(["\udfff"])


def test_versions_name_what_computes():
    assert {"torch", "transformers", "tokenizers", "nlptl", "numpy"} <= versions().keys()
