"""Intermediate tasks: the encoder learns other data first, gently, and then the task itself (`train --via SOURCE`)."""
