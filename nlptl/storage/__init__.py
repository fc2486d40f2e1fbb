"""Files that are whole or absent, the cache, bundled files, and secrets kept out of what is written."""
