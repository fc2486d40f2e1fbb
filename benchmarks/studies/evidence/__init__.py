"""Studies of evidence and decisions; see `studies`."""
