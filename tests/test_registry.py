import pytest

from nlptl.errors import ConfigError, closest
from nlptl.registry import Registry


@pytest.fixture
def fruits() -> Registry[int]:
    registry: Registry[int] = Registry("fruit")
    registry.add("pear", 1)
    registry.register("apple")(2)
    return registry


def test_gives_back_what_was_registered(fruits):
    assert (fruits.get("pear"), fruits.get("apple")) == (1, 2)
    assert fruits.names() == list(fruits) == ["apple", "pear"]
    assert "pear" in fruits
    assert "plum" not in fruits


def test_refuses_a_duplicate_and_keeps_the_first(fruits):
    with pytest.raises(ConfigError, match="fruit 'pear' is registered twice"):
        fruits.add("pear", 3)
    with pytest.raises(ConfigError, match="registered twice"):
        fruits.register("apple")(3)
    assert (fruits.get("pear"), fruits.get("apple")) == (1, 2)


def test_unknown_name_lists_all_and_suggests_the_nearest(fruits):
    with pytest.raises(ConfigError) as caught:
        fruits.get("aple")
    assert str(caught.value) == "Unknown fruit 'aple'. Available: apple, pear. Did you mean 'apple'?"


def test_a_far_name_gets_no_suggestion(fruits):
    with pytest.raises(ConfigError) as caught:
        fruits.get("xyz")
    assert str(caught.value) == "Unknown fruit 'xyz'. Available: apple, pear."


def test_an_empty_registry_says_none():
    with pytest.raises(ConfigError, match=r"Available: none\."):
        Registry("fruit").get("pear")


def test_closest_ignores_case_and_keeps_the_known_spelling():
    assert closest("MINILM", ["MiniLM", "bert"]) == "MiniLM"
