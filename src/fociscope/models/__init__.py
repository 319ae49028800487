"""Shipped weights (safetensors) and their cards."""
