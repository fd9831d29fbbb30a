"""Batch norm, SE, addition and activation in as few passes over memory as they need."""
