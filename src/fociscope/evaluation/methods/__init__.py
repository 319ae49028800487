"""What is evaluated: networks, solvers, the constant baseline and the oracle."""
