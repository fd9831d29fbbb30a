"""Searches in which networks share their weights: one supernet is trained in place of them all."""
