"""Optuna's gRPC proxy in front of a storage: thousands of workers, a few database connections."""

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import optuna

from dse.errors import InvalidInput
from search.cluster.storages import StorageURL, connect


def serve(url: StorageURL, host: str, port: int, threads: int, ready: Callable[[], None]) -> None:
    """Serve until the process is stopped.

    Args:
        url: of the storage behind.
        host: address to listen on.
        port: likewise.
        threads: requests that are answered at a time.
        ready: called when the server listens.

    Raises:
        InvalidInput: gRPC is not installed, the port is taken, or the storage cannot be served.
    """
    if url.text.startswith(("journal", "grpc")):
        raise InvalidInput(f"{url} cannot be served: Optuna's proxy is for databases")
    try:
        from optuna.storages._grpc.server import make_server
    except ImportError:
        raise InvalidInput("the proxy needs grpcio: pip install 'ternary-dse[cluster]'") from None
    # Not patient itself: its clients are, and a request must not occupy a thread for minutes.
    storage = connect(url, give_up_s=5.0, first_s=30.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            server = make_server(storage, host, port, ThreadPoolExecutor(threads))
        except RuntimeError:
            raise InvalidInput(f"port {port} of {host} is taken: choose another --port") from None
    server.start()
    ready()
    try:
        server.wait_for_termination()
    finally:
        server.stop(grace=2).wait()
