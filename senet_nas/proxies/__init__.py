"""Zero-cost proxies: one file each, a score of an untrained network from one batch of images."""

from senet_nas.proxies.core.batch import Batch, proxy_batch, training_batch
from senet_nas.proxies.core.choosing import Chooser, proxy_chooser
from senet_nas.proxies.core.scoring import check_proxy, proxy_names, proxy_score

__all__ = [
    "Batch",
    "Chooser",
    "check_proxy",
    "proxy_batch",
    "proxy_chooser",
    "proxy_names",
    "proxy_score",
    "training_batch",
]
