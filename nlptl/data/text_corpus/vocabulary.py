"""Tokenizers from a corpus, and words of a corpus for a tokenizer that splits them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

PAD, UNKNOWN, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
SPECIAL = [PAD, UNKNOWN, CLS, SEP, MASK]
# Distinct words kept while counting; beyond that the rarest are forgotten, so that memory stays bounded.
MOST_WORDS = 2_000_000
SHORTEST_WORD = 3


def train_tokenizer(
    chunks: Iterable[list[str]], kind: str, size: int, lowercase: bool, longest: int, progress: bool = False
) -> Any:
    """A tokenizer with BERT's special tokens, trained on texts.

    Args:
        chunks: texts.
        kind: `wordpiece` (Schuster & Nakajima 2012), `bpe` on bytes (Sennrich et al. 2016), or `unigram` (Kudo 2018).
        size: most pieces, special tokens included.
        lowercase: fold case before splitting.
        longest: tokens a text may have.
        progress: show the trainer's bar.

    Returns:
        A transformers fast tokenizer.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    fold = [normalizers.Lowercase()] if lowercase else []
    core: Any
    trainer: Any
    shared: dict[str, Any] = {"vocab_size": size, "special_tokens": SPECIAL, "show_progress": progress}
    if kind == "wordpiece":
        core = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
        core.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
        core.pre_tokenizer, core.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(**shared)
    elif kind == "bpe":
        core = Tokenizer(models.BPE())
        core.normalizer = normalizers.Sequence([normalizers.NFC(), *fold])
        core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
        trainer = trainers.BpeTrainer(**shared, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    else:
        core = Tokenizer(models.Unigram())
        core.normalizer = normalizers.Sequence([normalizers.NFKC(), *fold])
        core.pre_tokenizer, core.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        trainer = trainers.UnigramTrainer(**shared, unk_token=UNKNOWN)
    core.train_from_iterator(chunks, trainer)
    marks = [(mark, core.token_to_id(mark)) for mark in (CLS, SEP)]
    core.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}", pair=f"{CLS} $A {SEP} $B:1 {SEP}:1", special_tokens=marks
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        model_max_length=longest,
        pad_token=PAD,
        unk_token=UNKNOWN,
        cls_token=CLS,
        sep_token=SEP,
        mask_token=MASK,
        model_input_names=["input_ids", "attention_mask"],
    )


def split_words(chunks: Iterable[list[str]], tokenizer: Any, most: int, occurrences: int) -> dict[str, list[int]]:
    """Words of a corpus that a tokenizer splits, the ones that cost most pieces first.

    Args:
        chunks: texts.
        tokenizer: a transformers fast tokenizer; it normalises the texts and parts them into words.
        most: how many words at most.
        occurrences: rarer words are left out.

    Returns:
        Word -> ids of its present pieces.
    """
    counts: Counter[str] = Counter()
    normalise = tokenizer.backend_tokenizer.normalizer
    for chunk in chunks:
        for text in chunk:
            plain = normalise.normalize_str(text) if normalise is not None else text
            counts.update(word for word in _letters(plain).split() if len(word) >= SHORTEST_WORD)
        if len(counts) > MOST_WORDS:
            counts = Counter(dict(counts.most_common(MOST_WORDS // 2)))
    frequent = [word for word, count in counts.items() if count >= occurrences]
    if not frequent:
        return {}
    # With a space before it, as inside a text: byte-level tokenizers tell the two apart.
    coded = tokenizer([f" {word}" for word in frequent], add_special_tokens=False)["input_ids"]
    costly = {word: ids for word, ids in zip(frequent, coded, strict=True) if len(ids) > 1}
    ranked = sorted(costly, key=lambda word: (-counts[word] * (len(costly[word]) - 1), word))
    return {word: costly[word] for word in ranked[:most]}


def add_words(tokenizer: Any, words: Iterable[str]) -> None:
    """Teach a tokenizer whole words; they take the ids after its present ones."""
    from tokenizers import AddedToken

    tokenizer.add_tokens([AddedToken(word, single_word=True, lstrip=True, normalized=True) for word in words])


def continues_word(tokenizer: Any) -> list[bool]:
    """For each id, whether the piece goes on with the word of the piece before it.

    WordPiece marks such pieces (`##ing`); byte-level BPE and Unigram mark the beginnings instead, and a piece without
    letters or digits begins something new.
    """
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    special = set(tokenizer.all_special_tokens)
    if any(piece.startswith("##") and len(piece) > 2 for piece in pieces):
        return [piece.startswith("##") and len(piece) > 2 for piece in pieces]
    added = set(tokenizer.get_added_vocab())
    return [piece not in special | added and piece[:1].isalnum() and piece[:1] not in ("Ġ", "▁") for piece in pieces]


def _letters(text: str) -> str:
    return "".join(letter if letter.isalpha() else " " for letter in text)
