"""A finished run as a file for other engines: written, compared with the run on its own test rows, and opened again."""
