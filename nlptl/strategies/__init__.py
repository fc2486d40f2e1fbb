"""From a checkpoint to a classifier: the transfer strategies, and the pipeline that all of them share."""
