"""Known data sets: what they hold, where they are found and fetched."""
