import sys

import pytest

from nlptl.errors import ConfigError, closest
from nlptl.named import Package, Registry
from nlptl.registry import REGISTRIES


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


def install(folder, name, entries, monkeypatch) -> None:
    """Put a package's metadata on the path; nothing of it can be imported."""
    info = folder / f"{name.replace('-', '_')}-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[nlptl.fruits]\n" + "".join(f"{key} = {value}\n" for key, value in entries))
    if str(folder) not in sys.path:
        monkeypatch.syspath_prepend(str(folder))


def test_entry_points_are_listed_without_being_imported(tmp_path, monkeypatch):
    install(tmp_path, "orchard-shop", [("quince", "orchard_shop:QUINCE")], monkeypatch)
    registry: Registry[int] = Registry("fruit", "nlptl.fruits", {"pear": ("nlptl.fruits:PEAR", "green")})
    assert registry.names() == ["pear", "quince"]
    assert registry.help("quince") == "of the package orchard-shop"
    assert registry.package("quince") == Package("orchard-shop", "2.0")
    assert registry.package("pear") is None
    registry.check("quince")
    with pytest.raises(
        ConfigError, match=r"The fruit 'quince' \(orchard_shop:QUINCE\) fails to load: ModuleNotFoundError"
    ):
        registry.get("quince")
    (tmp_path / "orchard_shop.py").write_text("QUINCE = 4\n")
    assert registry.get("quince") == 4


def test_two_packages_of_one_name_are_refused_each_time_and_both_are_named(tmp_path, monkeypatch):
    install(tmp_path, "orchard", [("quince", "orchard:A"), ("zest", "orchard:Z")], monkeypatch)
    install(tmp_path, "market", [("quince", "market:B")], monkeypatch)
    registry: Registry[int] = Registry("fruit", "nlptl.fruits", {})
    said = set()
    for _ in range(2):
        with pytest.raises(ConfigError, match="fruit 'quince', which is registered by the package") as caught:
            registry.names()
        said.add(str(caught.value))
    (message,) = said
    assert "orchard" in message
    assert "market" in message


def test_a_package_may_not_take_a_name_of_nlptl(tmp_path, monkeypatch):
    install(tmp_path, "market", [("pear", "market:B")], monkeypatch)
    with pytest.raises(ConfigError, match=r"package market registers the fruit 'pear', which is registered by nlptl"):
        Registry("fruit", "nlptl.fruits", {"pear": (1, "green")}).names()


def test_what_a_program_registers_is_known_by_its_module(fruits):
    @fruits.register("melon", "large")
    class Melon:
        pass

    assert fruits.help("melon") == "large"
    assert fruits.package("melon") == Package(Melon.__module__, None)


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_entry_of_nlptl_has_its_line_of_help_and_can_be_imported(kind):
    registry = REGISTRIES[kind]
    assert registry.kind == kind
    assert registry.group
    for name in registry:
        assert registry.help(name)
        assert registry.package(name) is None
        registry.get(name)
