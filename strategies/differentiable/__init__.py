"""Differentiable strategies: options are weighed, and the weights learn by gradient."""
