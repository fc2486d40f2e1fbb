"""What is inside an encoder, which encoder to pick, and which groups unlabelled texts fall into."""
