import threading

import pytest

from nlptl.data.prefetch import prefetch


def test_items_keep_their_order():
    assert list(prefetch(iter(range(50)))) == list(range(50))
    assert list(prefetch([])) == []


def test_the_next_item_is_made_while_this_one_is_used():
    second_begun = threading.Event()

    def items():
        yield 1
        second_begun.set()
        yield 2

    coming = prefetch(items())
    assert next(coming) == 1
    assert second_begun.wait(10)
    assert next(coming) == 2


def test_no_more_than_one_item_waits():
    made = []

    def items():
        for i in range(10):
            made.append(i)
            yield i

    coming = prefetch(items())
    for used in range(5):
        assert next(coming) == used
        assert len(made) <= used + 2


def test_an_error_comes_in_its_place():
    def items():
        yield 1
        raise ValueError("the second cannot be read")

    coming = prefetch(items())
    assert next(coming) == 1
    with pytest.raises(ValueError, match="second"):
        next(coming)
