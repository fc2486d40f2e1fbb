"""The page of a report: one HTML file that asks for nothing else."""
