"""TensorBoard, started in this process."""

import errno
import logging
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gapfc.errors import UserError

PORTS_TRIED = 100


def free_port(host: str, port: int) -> int:
    """`port`, or the next free one on `host`. UserError if there is none, or none may be used."""
    for candidate in _candidates(port):
        try:
            # As `tensorboard` asks too: on localhost something may listen by the other protocol.
            if candidate and not _answers(candidate):
                _bind(host, candidate)
                return candidate
            if not candidate:
                return _bind(host, 0)
        except socket.gaierror as error:
            raise UserError(f"--host {host}: no such host ({error.strerror})") from error
        except PermissionError as error:
            raise UserError(
                f"--port {candidate} may not be used without privileges: take one from 1024 up"
            ) from error
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise UserError(f"--host {host}: {error.strerror or error}") from error
    raise UserError(f"--port {port}: neither it nor the next {PORTS_TRIED - 1} are free")


def start(folder: Path, title: str, host: str, port: int, reload_seconds: int) -> str:
    """Serve the events below `folder` from threads of this process; returns the address.

    UserError if TensorBoard cannot be started.
    """
    # Its messages on import (that there is no TensorFlow) are of no interest here.
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    from tensorboard import default, program
    from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin

    from gapfc.dashboard.frontend import Application, assets, opening
    from gapfc.dashboard.hparams import OneTable

    def serve(app: Application, flags: object) -> program.TensorBoardServer:
        return program.create_port_scanning_werkzeug_server(opening(app), flags)

    plugins = [OneTable if p is HParamsPlugin else p for p in default.get_plugins()]
    board = program.TensorBoard(plugins, assets(), serve)
    options = {
        "logdir": str(folder),
        "host": host,
        "port": port,
        "window_title": title,
        "reload_interval": reload_seconds,
        "load_fast": "true" if _has_fast_reader() else "false",
        "reload_multifile": "true",
    }
    board.configure(["gapfc", *(f"--{name}={value}" for name, value in options.items())])
    try:
        return str(board.launch())
    except program.TensorBoardServerException as error:
        raise UserError(error.msg) from error
    except SystemExit as error:
        raise UserError("TensorBoard could not be started: see above") from error


def _candidates(port: int) -> Sequence[int]:
    return range(port, min(port + PORTS_TRIED, 0x10000)) if port else [0]


def _addresses(host: str, port: int) -> Iterator[tuple[socket.AddressFamily, tuple[object, ...]]]:
    flags = socket.AI_PASSIVE
    for family, _, _, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=flags
    ):
        yield family, address


def _bind(host: str, port: int) -> int:
    family, address = next(_addresses(host, port))
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(("localhost", port)) == 0


def _has_fast_reader() -> bool:
    try:
        import tensorboard_data_server
    except ImportError:
        return False
    return tensorboard_data_server.server_binary() is not None
