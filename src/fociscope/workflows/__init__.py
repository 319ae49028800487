"""Whole jobs: what the command line does, as functions."""
