"""What is wrong with labelled data: likely wrong labels, near-duplicates, outliers, slices."""
