"""The evaluation as an HTML report."""
