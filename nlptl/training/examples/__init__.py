"""What one training learns from: examples in batches, and the loss of each."""
