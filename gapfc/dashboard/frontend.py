"""What the dashboard changes in TensorBoard's pages: how they open, and how wide columns are.

TensorBoard has no setting for either. The first is an address. The second is words of its index.js
and a style in its index.html, as of TensorBoard 2.21: another version that lacks those words is
served as it is, with wide columns. `tests/dashboard/test_frontend.py` tells when that happens.
"""

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
STYLE = (
    "<style>body{--lumo-font-size-m:14px;--lumo-font-size-s:13px;--lumo-space-m:8px;"
    "--lumo-space-xs:3px}</style></head>"
)
# File -> what is there, and what takes its place. Settings and scores in the table of HPARAMS would
# be 160 pixels wide, whatever they hold.
CHANGES = {
    "index.js": ('flex-grow="2" width="10em"', 'flex-grow="1" width="5em"'),
    "index.html": ("</head>", STYLE),
}


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
    """TensorBoard's pages with `STYLE` and narrow columns; None where it finds its own itself."""
    from tensorboard.assets import get_default_assets_zip_provider

    shipped = get_default_assets_zip_provider()
    if shipped is None:
        return None
    with shipped() as file, zipfile.ZipFile(file) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            if name in CHANGES:
                theirs, ours = CHANGES[name]
                content = content.replace(theirs.encode(), ours.encode())
            archive.writestr(name, content)
    return lambda: io.BytesIO(changed.getvalue())
