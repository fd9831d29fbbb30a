"""The search spaces: one file each, whose `space()` returns it."""
