"""The cells: one file each, whose `Cell(block, in_channels)` is the module of one block.

A cell is an `nn.Module` from (N, in_channels, H, W) to (N, block.channels, H', W'). One that
derives from `senet_nas.nn.placement.Unit` takes SE in every placement without more ado.
"""
