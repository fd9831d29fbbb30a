"""Families of networks that can be read: one file each, whose `read(model)` returns a `Reading`,
or None for a network of another family.

It reads the modules' structure, so that it serves every variant of its family, and raises
`InputError` naming the module that no cell of ours expresses.
"""
