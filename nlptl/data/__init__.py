"""Texts and labels: read, audited, split, encoded, batched. Every later room sees the same columns.

A split is a pandas DataFrame with the columns `text` (and `text_pair` for a pair task), `label` (a label name, or a
list of them for multi_label), `file` and `row` (where the row came from; the first record of a file is row 1).
"""
