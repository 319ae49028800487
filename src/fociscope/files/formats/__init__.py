"""What a file format must give: its suffixes, how its bytes look, and what opens it."""
