"""One-shot strategies: which networks of a supernet learn from each batch."""
