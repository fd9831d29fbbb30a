"""What differentiable strategies have in common."""
