"""Learning from unlabelled text: self-taught and unsupervised transfer; the result is a checkpoint folder."""
