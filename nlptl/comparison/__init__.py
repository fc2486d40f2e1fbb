"""Methods x sizes x seeds on the same rows: the grid, its learning curves and its verdicts."""
