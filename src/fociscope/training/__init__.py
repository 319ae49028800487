"""Training: recipes, the live stream of scenes, and the run itself. Lightning is imported here."""
