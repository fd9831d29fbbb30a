"""Ray, on this machine or on the cluster at RAY_ADDRESS: what all that runs on it begins with."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from search_space.errors import InputError
from search_space.registry import EXTENSIONS_VARIABLE
from senet_nas.nn.trust import TRUST_VARIABLE

ADDRESS_VARIABLE = "RAY_ADDRESS"
OBJECT_STORE_BYTES = 200 * 2**20
_PASSED = (EXTENSIONS_VARIABLE, TRUST_VARIABLE, "XDG_CACHE_HOME")
_KNOCK_SECONDS = 10.0


def cluster_address() -> str | None:
    """Of the user's cluster; None where Ray is to be started on this machine."""
    return os.environ.get(ADDRESS_VARIABLE) or None


def check_cluster() -> None:
    """Raise `InputError` where the user's cluster isn't there, without connecting to it: Ray would
    try for minutes, and a run's folder would be there by then."""
    address = cluster_address()
    if address is None:
        return
    host, _, port = address.rpartition(":")
    if not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_SECONDS).close()
    except OSError as error:
        raise _unreachable(address) from error


@contextmanager
def on_ray() -> Iterator[None]:
    """Inside, Ray is there: as this process has started it, else the user's cluster, else on this
    machine for as long. What Ray prints goes to stderr; stdout is for results.

    Raises `InputError` for a cluster that can't be reached.
    """
    import ray

    if ray.is_initialized():
        yield
        return
    with redirect_stdout(sys.stderr):
        _start()
        try:
            yield
        finally:
            ray.shutdown()


def _start() -> None:
    import ray

    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    common: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": "ERROR",
        "runtime_env": {"env_vars": passed} if passed else None,
    }
    address = cluster_address()
    if address is None:
        # "local": not a cluster that somebody started on this machine for something else.
        ray.init("local", include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES, **common)
        return
    check_cluster()
    try:
        ray.init(**common)
    except OSError as error:  # a ConnectionError is one
        raise _unreachable(address) from error


def _unreachable(address: str) -> InputError:
    return InputError(
        f"{ADDRESS_VARIABLE}: no cluster can be reached at {address}; where it asks for a token, "
        "set RAY_AUTH_MODE=token"
    )
