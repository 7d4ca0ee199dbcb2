"""The Hugging Face hub, where models come from at first use."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

_Result = TypeVar("_Result")


def hub_is_there() -> bool:
    """Whether the hub has an address: the hub's own client would try for a minute and a half."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    host = urlsplit(constants.ENDPOINT).hostname or ""
    try:
        return bool(getproxies()) or bool(socket.getaddrinfo(host, 443))
    except OSError:
        return False


def local_first(get: Callable[..., _Result], of_hub: bool) -> _Result:
    """What is on this machine or, for a name ``of_hub``, else what the hub has; raises as ``get`` does.

    ``get`` takes the keyword ``local_files_only`` as the hub's clients do, and raises `OSError` where nothing is there.
    """
    try:
        return get(local_files_only=True)
    except OSError:
        if not of_hub or not hub_is_there():
            raise
        return get(local_files_only=False)
