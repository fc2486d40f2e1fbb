"""Tiny random encoders of every architecture that the faster computations are compared with the plain ones on."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers as tf

WORDS, POSITIONS = 200, 64
SIZES = {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
BERT = {**SIZES, "intermediate_size": 64, "max_position_embeddings": POSITIONS}
ROBERTA = {**BERT, "max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1, "pad_token_id": 1}
SPECIAL = {"bos_token_id": 2, "eos_token_id": 3}
CONFIGS = {
    "albert": tf.AlbertConfig(**BERT, embedding_size=16, pad_token_id=0, **SPECIAL),
    "bert": tf.BertConfig(**BERT, pad_token_id=0),
    "camembert": tf.CamembertConfig(**ROBERTA),
    "deberta-v2": tf.DebertaV2Config(
        **BERT, relative_attention=True, pos_att_type=["c2p", "p2c"], position_buckets=8, type_vocab_size=0
    ),
    "distilbert": tf.DistilBertConfig(
        vocab_size=WORDS, dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=POSITIONS
    ),
    "electra": tf.ElectraConfig(**BERT, embedding_size=16, pad_token_id=0),
    "modernbert": tf.ModernBertConfig(
        **BERT, pad_token_id=0, local_attention=8, cls_token_id=4, sep_token_id=3, **SPECIAL
    ),
    "mpnet": tf.MPNetConfig(**{**BERT, "max_position_embeddings": POSITIONS + 2}, pad_token_id=1),
    "roberta": tf.RobertaConfig(**ROBERTA),
    "xlm-roberta": tf.XLMRobertaConfig(**ROBERTA),
    # A decoder: its layers take no mask where no text is padded, and must not see later tokens all the same.
    "gpt2": tf.GPT2Config(
        vocab_size=WORDS,
        n_embd=32,
        n_layer=2,
        n_head=2,
        n_positions=POSITIONS,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        pad_token_id=0,
        **SPECIAL,
    ),
}

# Their classes are copies of RoBERTa's: what is compared number by number gives the same numbers.
COPIES = ("camembert", "xlm-roberta")


def write_checkpoint(name: str, folder: Path) -> Path:
    """A checkpoint folder of this architecture; weights large enough for different texts to give different outputs."""
    config = CONFIGS[name]
    for deviation in ("initializer_range", "initializer_cutoff_factor"):
        if hasattr(config, deviation):
            setattr(config, deviation, 0.2 if deviation == "initializer_range" else 2.0)
    torch.manual_seed(7)
    tf.AutoModel.from_config(config).save_pretrained(folder)
    return folder
