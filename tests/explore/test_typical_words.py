import numpy as np

from nlptl.explore.typical_words import group_names, typical_words


def test_words_of_one_group_go_before_words_of_all():
    texts = ["my card is lost", "please, I lost my card", "my transfer is late", "please, the transfer", "lost"]
    words = typical_words(texts, np.array([0, 0, 1, 1, -1]), 2)
    assert set(words[0]) == {"card", "lost"}
    assert words[1][0] == "transfer"


def test_function_words_only_where_there_is_nothing_else():
    assert typical_words(["the of", "to be"], np.array([0, 1]), 1)[0][0] in ("the", "of")
    assert typical_words(["?!", "..."], np.array([0, 1]), 3) == [[], []]


def test_names_are_different():
    assert group_names([["a", "b"], ["a", "b"], [], ["c"]]) == ["a_b", "a_b_2", "group_3", "c"]
