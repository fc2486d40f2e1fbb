"""What a report says, gathered from the files of a run folder or a comparison; knows nothing of pages."""
