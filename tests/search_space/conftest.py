"""Property tests in this folder: fewer examples and no deadline, for slow shared machines."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "steady", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
