"""Unlabelled text as a stream of files, as tokens on disk, and the vocabularies made from it."""
