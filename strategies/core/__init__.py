"""What all strategies share: ask and tell, objectives, limits, and the steps of evolution."""
