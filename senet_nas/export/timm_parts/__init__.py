"""Blocks of ours as those that timm has."""
