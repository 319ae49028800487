"""What may be believed of a file, and writing that leaves a complete file or none."""
