"""The run folder: whose it is, what it promises, how it is saved, opened, described."""
