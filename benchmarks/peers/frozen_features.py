"""sentence-transformers encodes once, scikit-learn's LogisticRegression(C=10) classifies: to test accuracy."""

from __future__ import annotations

import time

from peers.texts import parser, read, say, threads


def main() -> None:
    """Encode, fit, and measure; rows of validation are learned from as well, since nothing is chosen on them."""
    arguments = parser(__doc__).parse_args()
    import numpy as np
    import torch
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression

    torch.set_num_threads(threads())
    started = time.perf_counter()
    texts, labels = read(arguments.data, "train", "validation")
    test, gold = read(arguments.data, "test")
    encoder = SentenceTransformer(arguments.checkpoint, device="cpu")
    encoder.max_seq_length = arguments.max_length
    options = {"batch_size": arguments.batch_size, "show_progress_bar": False, "normalize_embeddings": True}
    begun = time.perf_counter()
    features = encoder.encode(texts, **options)
    encoded = time.perf_counter()
    model = LogisticRegression(C=10, max_iter=1000).fit(features, labels)
    fitted = time.perf_counter()
    predicted = model.predict(encoder.encode(test, **options))
    ended = time.perf_counter()
    say(
        seconds=ended - started,
        features_seconds=encoded - begun,
        head_seconds=fitted - encoded,
        test_seconds=ended - fitted,
        test_accuracy=float(np.mean(predicted == np.array(gold))),
    )


if __name__ == "__main__":
    main()
