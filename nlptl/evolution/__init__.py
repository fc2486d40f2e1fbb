"""Labels that change on a trained run: renamed, merged, added; and what the old ones lose by it."""
