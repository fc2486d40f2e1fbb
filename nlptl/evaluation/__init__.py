"""Scores into metrics and decisions. Works on arrays alone; knows no model."""
