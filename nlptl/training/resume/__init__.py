"""Saved states of an unfinished training, and the way back into them."""
