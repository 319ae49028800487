"""What a user points at -> series of captures and calibration stacks."""
