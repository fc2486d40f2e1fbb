"""One form for texts that look alike: what `data.normaliser` does, with places in the original text.

`normaliser.py` is what others call; each step is a function that says which stretches of a text give way to others.
"""
