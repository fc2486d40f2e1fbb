"""Transductive transfer: labels of a source domain, texts alone of a target domain (domain adaptation)."""
