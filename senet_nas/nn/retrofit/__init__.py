"""SE in a network that somebody already has: where it may stand, the space of choices, and the
network with SE in it, which starts as exactly the same function.

After the SE paper's own words, "a drop-in replacement" (arXiv 1709.01507, section 3.3).
"""

from senet_nas.nn.retrofit.attach import retrofit
from senet_nas.nn.retrofit.places import KINDS, Place, find_places
from senet_nas.nn.retrofit.space import retrofit_space, space_of_places

__all__ = ["KINDS", "Place", "find_places", "retrofit", "retrofit_space", "space_of_places"]
