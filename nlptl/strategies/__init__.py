"""The roads from a checkpoint to a classifier, and the pipeline that all of them share."""
