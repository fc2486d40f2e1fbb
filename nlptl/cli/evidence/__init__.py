"""Commands about evidence and decisions: what a run's answers are worth, and where to cut."""
