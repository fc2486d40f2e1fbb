"""Commands that ship a run: export, serve, share, tune."""
