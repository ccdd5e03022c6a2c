"""`whowas serve`: a page over named flows, their history and their findings."""

from __future__ import annotations

import importlib.util
import os
import sys
from contextlib import nullcontext
from pathlib import Path

import click

from whowas.cli.options import flows_option, history_option
from whowas.cli.terminal import echo, flush, note
from whowas.errors import MissingExtra

VIEWS = ("overview", "map", "who", "flows", "findings")


@click.command(short_help="Open a page over named flows.")
@flows_option()
@history_option()
@click.option("--findings", type=click.Path(), metavar="FILE|DIR", help="What backtest --out or a stream wrote.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Port; a free one unless said.")
@click.option("--cache", type=click.Path(), metavar="DIR", help="Where roll-ups are kept. [default: ~/.cache/whowas]")
@click.option("--view", type=click.Choice(VIEWS), default=VIEWS[0], show_default=True, help="Screen to open.")
@click.option("--no-browser", is_flag=True, help="Open no browser, only print the URL.")
def command(
    flows: str,
    history: tuple[str, ...],
    findings: str | None,
    port: int,
    cache: str | None,
    view: str,
    no_browser: bool,
) -> None:
    """Open a page: what is unusual, who talked to whom, who held an address, flows, findings.

    \b
    Example:
      whowas serve --flows named --history samples/overlay/history.jsonl.gz

    It listens on 127.0.0.1 alone. The URL holds a token: whoever has it can read the flows. Nothing is changed but
    states and notes of findings, which are kept beside them, and roll-ups in a cache, which may be deleted.
    Ctrl-C ends it.
    """
    for package in ("starlette", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "serve")
    from whowas.workbench.app import Server
    from whowas.workbench.guard import new_token
    from whowas.workbench.loopback import door, listen
    from whowas.workbench.rollups import default_cache
    from whowas.workbench.workbench import Workbench

    bench = Workbench(flows, Path(cache) if cache else default_cache(), history, findings)
    try:
        token = new_token()
        server = Server(bench, listen(port), token)
        bench.start()
        url = f"http://127.0.0.1:{server.port}/?view={view}#token={token}"
        for line in (f"{flows} is served at", f"  {url}", "Ctrl-C ends it"):
            echo(line)
        flush()
        with door(url) if not no_browser and _desktop() else nullcontext() as way:
            if way is not None:
                import webbrowser

                webbrowser.open(way)
            server.run()
    finally:
        bench.close()
    note("stopped")


def _desktop() -> bool:
    """Is somebody there who sees a browser?"""
    return sys.platform == "darwin" or any(os.environ.get(one) for one in ("DISPLAY", "WAYLAND_DISPLAY"))
