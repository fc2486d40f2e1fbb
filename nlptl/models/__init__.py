"""Checkpoint to classifier: encoder, pooling and head, and how much of it learns."""
