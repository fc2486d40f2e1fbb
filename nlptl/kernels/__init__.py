"""Faster computations in place of those of PyTorch, transformers and PEFT, with the same results up to rounding."""
