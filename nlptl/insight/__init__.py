"""What is inside an encoder, and which encoder to pick, before training any."""
