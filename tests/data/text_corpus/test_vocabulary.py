from pathlib import Path

import pytest

from nlptl.data.text_corpus.vocabulary import add_words, continues_word, split_words, train_tokenizer
from nlptl.models.opening import load_tokenizer

TEXTS = [[f"the unbelievable film number {i} was {word}, really {word}ly" for word in ("good", "great", "awful")]
         for i in range(30)]  # fmt: skip


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_a_trained_tokenizer_opens_again_and_keeps_the_text(kind, tmp_path):
    train_tokenizer(iter(TEXTS), kind, 400, True, 512).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    ids = tokenizer("The GOOD film")["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == "the good film"
    assert len(tokenizer) <= 400
    assert tokenizer.mask_token_id is not None


@pytest.mark.parametrize(("kind", "size"), [("wordpiece", 80), ("bpe", 280), ("unigram", 100)])
def test_which_pieces_go_on_with_a_word(kind, size):
    tokenizer = train_tokenizer(iter(TEXTS), kind, size, True, 512)
    continues = continues_word(tokenizer)
    text = "the unbelievable film really"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert len(ids) > 4
    assert sum(not continues[i] for i in ids) == 4
    assert not any(continues[i] for i in tokenizer.all_special_ids)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_words_that_are_split_become_whole(name, tiny):
    tokenizer = load_tokenizer(Path(tiny[name]))
    size = len(tokenizer)
    found = split_words(iter(TEXTS), tokenizer, 3, 5)
    assert next(iter(found)) == "unbelievable"
    assert len(found) == 3
    assert all(len(ids) > 1 for ids in found.values())
    add_words(tokenizer, found)
    assert len(tokenizer) == size + 3
    ids = tokenizer("an unbelievable film, unbelievably good", add_special_tokens=False)["input_ids"]
    assert ids.count(size) == 1  # the longer word is not cut up
    assert tokenizer.convert_ids_to_tokens(size) == "unbelievable"


def test_rare_words_are_left_alone(tiny):
    assert split_words(iter(TEXTS), load_tokenizer(Path(tiny["bert"])), 10, 1000) == {}
