"""What the dashboard changes in TensorBoard's pages: how they open, and how wide columns are."""

import io
import zipfile
from collections.abc import Callable, Iterable
from typing import IO, Any
from urllib.parse import quote

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]  # WSGI

# Runs of one head have one colour, in TIME SERIES: the last part of a run's name but for its seed.
HEAD_OF_RUN = r"([^/]+?)(?: s\d+(?:-\d+)?)?$"
# As measured: TensorBoard would smooth curves of a few epochs beyond recognition.
OPENED = {"smoothing": "0", "runColorGroup": f"regex:{HEAD_OF_RUN}"}
# In the table of HPARAMS: settings and scores would be 160 pixels wide, whatever they hold.
WIDE, NARROW = 'flex-grow="2" width="10em"', 'flex-grow="1" width="5em"'
STYLE = (
    "<style>body{--lumo-font-size-m:14px;--lumo-font-size-s:13px;--lumo-space-m:8px;"
    "--lumo-space-xs:3px}</style></head>"
)


def opening(app: Application) -> Application:
    """`app`, whose first page opens as `OPENED` says; an address that says otherwise is kept."""
    query = "&".join(f"{key}={quote(value)}" for key, value in OPENED.items())

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") in ("", "/") and not environ.get("QUERY_STRING"):
            start("302 Found", [("Location", f"./?{query}"), ("Content-Length", "0")])
            return []
        return app(environ, start)

    return answer


def assets() -> Callable[[], IO[bytes]] | None:
    """TensorBoard's pages with `STYLE` and narrow columns, where they are as they are known."""
    from tensorboard.assets import get_default_assets_zip_provider

    shipped = get_default_assets_zip_provider()
    if shipped is None:
        return None
    with shipped() as file, zipfile.ZipFile(file) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["index.js"] = files.get("index.js", b"").replace(WIDE.encode(), NARROW.encode())
    files["index.html"] = files.get("index.html", b"").replace(b"</head>", STYLE.encode(), 1)
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return lambda: io.BytesIO(changed.getvalue())
