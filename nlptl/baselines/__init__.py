"""Classical models on TF-IDF vectors: the controls that show whether transfer pays on the data at hand."""
