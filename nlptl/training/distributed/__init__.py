"""Several processes: replicas of a model, shards of it, and groups that were started again."""
