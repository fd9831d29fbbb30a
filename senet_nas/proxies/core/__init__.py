"""What all proxies share: the batch, the network as it was, and what their scores are used for."""
