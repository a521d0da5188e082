"""Where a socket that listens is reached, as people and browsers write it."""

import socket


def url_of(listener: socket.socket) -> str:
    """The address it listens at.

    >>> with socket.create_server(("127.0.0.1", 0)) as listener:
    ...     url_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
    True
    """
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def local_url(listener: socket.socket) -> str:
    """An address that reaches it from this machine: one that listens at all addresses has none that browsers open.

    >>> with socket.create_server(("0.0.0.0", 0)) as listener:
    ...     local_url(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"
    True
    """
    return url_of(listener).replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
