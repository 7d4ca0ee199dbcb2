"""The Hugging Face hub, from which models are downloaded at first use."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

_Result = TypeVar("_Result")


def hub_is_there() -> bool:
    """Whether the hub's address resolves: the hub's own client would retry for a minute and a half."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    host = urlsplit(constants.ENDPOINT).hostname or ""
    try:
        return bool(getproxies()) or bool(socket.getaddrinfo(host, 443))
    except OSError:
        return False


def local_first(get: Callable[..., _Result], of_hub: bool) -> _Result:
    """Load from this machine or, for a name ``of_hub``, else from the hub; raises as ``get`` does.

    ``get`` takes the keyword ``local_files_only`` like the hub's clients, and raises `OSError` if there is no local
    copy.
    """
    try:
        return get(local_files_only=True)
    except OSError:
        if not of_hub or not hub_is_there():
            raise
        return get(local_files_only=False)
