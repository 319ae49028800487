"""Many captures: resumable folders, clusters of machines, and instruments that are followed."""
