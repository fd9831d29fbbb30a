"""The formats: one file each, whose `export(checkpoint, path)` writes and checks a file."""
