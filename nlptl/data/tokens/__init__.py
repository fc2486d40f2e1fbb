"""Token ids of texts: from a table's rows to batches, kept in the cache, long texts whole or cut."""
