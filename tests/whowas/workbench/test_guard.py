"""Attacks on the server over a real socket: other pages, other users, broken HTTP, SQL wherever a text goes."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from support.workbench import DAY, HOUR, Row, Served, rows, served, write

from whowas.workbench.api import ENDPOINTS
from whowas.workbench.guard import ALWAYS, CSP, MOST_BODY

EVERY = [name.decode() for name, _ in ALWAYS]


def raw(page: Served, text: bytes) -> bytes:
    """Send bytes, and read until the server closes or is quiet."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as link:
        link.sendall(text)
        found = b""
        try:
            link.settimeout(3)
            while part := link.recv(65536):
                found += part
        except TimeoutError:
            pass
        return found


def request(page: Served, *lines: str, method: str = "GET", path: str = "/api/status", body: bytes = b"") -> bytes:
    """A request with exactly these header lines."""
    return raw(
        page, "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "Connection: close", "", ""]).encode("latin-1") + body
    )


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


def host(page: Served) -> str:
    return f"Host: 127.0.0.1:{page.port}"


def bearer(page: Served) -> str:
    return f"Authorization: Bearer {page.token}"


def protected(answer: bytes) -> bool:
    """Does an answer carry every header of rule 3?"""
    head = answer.partition(b"\r\n\r\n")[0].lower()
    return all(b"\r\n" + name + b": " + value.lower() in head for name, value in ALWAYS)


def test_the_token_opens_and_nothing_else_does(page: Served) -> None:
    assert page.ask("/api/status").status == 200
    wrong = [
        "",
        "Bearer",
        "Bearer ",
        "Bearer x",
        f"Basic {page.token}",
        f"Bearer {page.token}x",
        f"Bearer {page.token[:-1]}",
        f"Bearer {page.token.swapcase()}",
        page.token,
        "Bearer \xff\xfe",
    ]
    for told in [None, *wrong]:
        answer = page.ask("/api/status", Authorization=told)
        assert answer.status == 401, told
        assert answer.headers["www-authenticate"] == "Bearer"


def test_the_token_counts_in_no_other_place(page: Served) -> None:
    """Not in the URL, where logs keep it, and in no cookie, which a browser would send by itself."""
    for path, line in ((f"/api/status?token={page.token}", "X: y"), ("/api/status", f"Cookie: token={page.token}")):
        assert status(request(page, host(page), line, path=path)) == 401
    assert "set-cookie" not in page.ask("/api/status").headers
    assert "set-cookie" not in page.ask("/").headers


@pytest.mark.parametrize(("method", "path"), [(told[0], path) for path, told in ENDPOINTS.items()])
def test_no_data_without_the_token(page: Served, method: str, path: str) -> None:
    answer = page.ask(path, None if method == "GET" else {}, Authorization=None)
    assert answer.status == 401
    assert answer.json["error"]


def test_assets_need_no_token_and_hold_no_data(page: Served) -> None:
    answer = page.ask("/", Authorization=None)
    assert answer.status == 200
    assert page.token.encode() not in answer.body


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "127.0.0.1",
        "localhost",
        "127.0.0.1:1",
        "localhost:99999",
        "evil.example:{port}",
        "127.0.0.1:{port}.evil.example",
        "127.0.0.1.:{port}",
        "127.1:{port}",
        "2130706433:{port}",
        "[::]:{port}",
        "0.0.0.0:{port}",
        "user@127.0.0.1:{port}",
        "127.0.0.1:{port}/",
        "",
        "127.0.0.1:0{port}",
    ],
)
def test_a_name_that_is_not_ours_is_refused(page: Served, name: str) -> None:
    """A page whose name leads to 127.0.0.1 (DNS rebinding) is a stranger, and the port counts."""
    answer = request(page, f"Host: {name.format(port=page.port)}", bearer(page))
    assert status(answer) in (400, 421)
    assert protected(answer)


def test_our_names_are_served(page: Served) -> None:
    for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        assert status(request(page, f"Host: {name}:{page.port}", bearer(page))) == 200


@pytest.mark.parametrize("header", ["Host", "Origin", "Sec-Fetch-Site", "Authorization", "Content-Length"])
def test_two_of_a_header_that_counts_are_refused(page: Served, header: str) -> None:
    good = {
        "Host": f"127.0.0.1:{page.port}",
        "Origin": f"http://127.0.0.1:{page.port}",
        "Sec-Fetch-Site": "same-origin",
        "Authorization": f"Bearer {page.token}",
        "Content-Length": "2",
        "Content-Type": "application/json",
    }
    lines = [f"{name}: {value}" for name, value in good.items()]
    assert status(request(page, *lines, method="POST", path="/api/ends", body=b"{}")) == 200
    answer = request(page, *lines, f"{header.lower()}: {good[header]}x", method="POST", path="/api/ends", body=b"{}")
    assert status(answer) in (400, 413)
    assert protected(answer)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:{other}",
        "http://localhost:{port}",
        "http://127.0.0.1",
        "http://127.0.0.1:{port}.evil.example",
        "http://127.0.0.1:{port}@evil.example",
        "file://",
        "",
    ],
)
def test_other_origins_are_refused(page: Served, origin: str) -> None:
    told = origin.format(port=page.port, other=page.port + 1)
    assert page.ask("/api/ends", {}, Origin=told).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "none, same-origin", "Same-Origin"])
def test_what_another_site_sends_is_refused(page: Served, site: str) -> None:
    """same-site is another port of this machine: another user's server, on a shared host."""
    for path in ("/api/status", "/"):
        assert page.ask(path, Sec_Fetch_Site=site).status == 403
    assert page.ask("/api/status", Sec_Fetch_Site=None, Origin=None).status == 200
    assert page.ask("/", Sec_Fetch_Site="none", Origin=None).status == 200


def test_a_link_elsewhere_leads_to_the_document_and_to_nothing_else(page: Served) -> None:
    """The file that serve opens is such a link; what is framed, fetched or asked from elsewhere stays refused."""
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document", "Origin": None}
    answer = page.ask("/", **link)
    assert answer.status == 200
    assert b"token" not in answer.body
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    for path in ("/api/status", "/app.js"):
        assert page.ask(path, **link).status == 403
    for more in ({"Sec_Fetch_Dest": "iframe"}, {"Sec_Fetch_Mode": "no-cors"}, {"Origin": "https://evil.example"}):
        assert page.ask("/", **(link | more)).status == 403
    assert page.ask("/", {}, **link).status == 403


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 20]
)
def test_other_methods_are_refused(page: Served, method: str) -> None:
    answer = request(page, host(page), bearer(page), "Access-Control-Request-Method: POST", method=method)
    assert status(answer) in (400, 405)
    assert protected(answer)
    assert b"access-control" not in answer.lower()


def test_nothing_is_changed_by_get(page: Served) -> None:
    for path, (method, _, _) in ENDPOINTS.items():
        if method == "POST":
            assert page.ask(path).status == 405


def answers(page: Served) -> dict[str, bytes]:
    """One answer of each kind."""
    good = (host(page), bearer(page), "Content-Type: application/json")
    return {
        "page": request(page, host(page), path="/"),
        "data": request(page, *good),
        "head": request(page, *good, method="HEAD"),
        "no token": request(page, host(page)),
        "missing": request(page, host(page), path="/missing"),
        "wrong host": request(page, "Host: evil.example", bearer(page)),
        "wrong method": request(page, host(page), method="DELETE"),
        "wrong type": request(
            page,
            host(page),
            bearer(page),
            "Content-Type: text/plain",
            "Content-Length: 2",
            method="POST",
            path="/api/ends",
            body=b"{}",
        ),
        "wrong question": request(page, *good, "Content-Length: 1", method="POST", path="/api/ends", body=b"{"),
        "no http": raw(page, b"HELLO\r\n\r\n"),
        "no version": raw(page, b"GET / HTTP/9.9\r\n\r\n"),
        "long header": raw(page, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n"),
        "both lengths": request(
            page,
            *good,
            "Content-Length: 2",
            "Transfer-Encoding: chunked",
            method="POST",
            path="/api/ends",
            body=b"0\r\n\r\n",
        ),
    }


def test_every_answer_carries_the_policy(page: Served) -> None:
    """Errors too, and what the HTTP library answers by itself."""
    assert "unsafe" not in CSP
    for kind, answer in answers(page).items():
        assert protected(answer), (kind, answer[:300])
        assert b"server:" not in answer.partition(b"\r\n\r\n")[0].lower(), kind


def test_a_broken_question_breaks_nothing(page: Served) -> None:
    for body in (
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"filter": 1}',
        b'{"filtre": ""}',
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"limit": 1e400}',
        b'{"range": {"since": 99999999999999999999, "until": 1}}',
        b'{"limit": 100000}',
    ):
        answer = page.ask("/api/talkers", body)
        assert answer.status == 400, body[:50]
        assert answer.json["error"]
    assert page.ask("/api/talkers", {}).status == 200


def test_a_long_question_is_refused_before_it_is_read(page: Served) -> None:
    long = b'{"filter": "' + b"a" * MOST_BODY + b'"}'
    assert page.ask("/api/ends", long).status == 413
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(part), part) for part in [long[n : n + 8192] for n in range(0, len(long), 8192)]
    )
    told = (host(page), bearer(page), "Content-Type: application/json", "Transfer-Encoding: chunked")
    assert status(request(page, *told, method="POST", path="/api/ends", body=chunks + b"0\r\n\r\n")) == 413


@pytest.mark.parametrize(
    "path",
    [
        "/../app.py",
        "/..%2fapp.py",
        "/%2e%2e/app.py",
        "/static/index.html",
        "//etc/passwd",
        "/etc/passwd",
        "/./index.html",
        "/index.html/",
        "/index.html%00",
        "/\\..\\app.py",
        "/.git/config",
        "/" + "a" * 5000,
    ],
)
def test_no_other_file_is_served(page: Served, path: str) -> None:
    answer = request(page, host(page), path=path)
    assert status(answer) in (400, 404)
    assert b"import" not in answer.partition(b"\r\n\r\n")[2]


SQL = (
    "' OR 1=1 --",
    "'; DROP TABLE flows; --",
    '"',
    "x'; COPY (SELECT 1) TO '/tmp/whowas-pwned'; --",
    "\\",
    "%",
    "$1",
    "?",
    "read_csv('/etc/passwd')",
    "\x00",
    "\u202e",
    "a" * 4000,
)


@pytest.mark.parametrize("text", SQL)
def test_no_text_becomes_sql(page: Served, flows: list[Row], text: str) -> None:
    """Wherever a text goes it is a value, or it is refused; never an error of the database."""
    quoted = "'" + text.replace("'", "'\"'\"'") + "'"
    for word in ("src", "label", "where", "namespace"):
        value = {"label": f"app={text}", "where": f"tls_sni={text}"}.get(word, text)
        quoted = "'" + f"{word}={value}".replace("'", "'\"'\"'") + "'"
        for path in ("/api/ends", "/api/flows", "/api/histogram", "/api/commands"):
            answer = page.ask(path, {"filter": quoted})
            assert answer.status in (200, 400), (path, answer.body)
            if path == "/api/ends" and answer.status == 200:
                assert sum(answer.json["flows"]) == 0
    for path, asked in (
        ("/api/flows", {"columns": [text]}),
        ("/api/facets", {"columns": [text]}),
        ("/api/flows", {"cursor": text[:100]}),
        ("/api/export", {"columns": [text]}),
        ("/api/map", {"by": text}),
        ("/api/talkers", {"by": text}),
        ("/api/flow", {"hour": text[:60], "flow_id": "0" * 32}),
        ("/api/flow", {"hour": "x", "flow_id": text}),
    ):
        answer = page.ask(path, asked)
        assert answer.status in (400, 404), (path, asked, answer.body[:200])
    assert page.ask("/api/map", {"by": "label", "label": text[:300]}).status == 200
    assert not Path("/tmp/whowas-pwned").exists()
    assert sum(page.ask("/api/ends", {}).json["flows"]) == 2 * len(flows)


def test_errors_name_no_path(page: Served, folder: Path) -> None:
    """The browser gets no path of this machine: neither from the status nor from an error."""
    for answer in (
        page.ask("/api/status"),
        page.ask("/api/flow", {"hour": "x", "flow_id": "0" * 32}),
        page.ask("/api/who", {"what": "x"}),
    ):
        assert str(folder.parent).encode() not in answer.body


def test_the_database_reads_flows_and_cache_and_nothing_else(page: Served, tmp_path: Path) -> None:
    """The second wall: should a text ever become SQL, it reads no other file, loads nothing and sets nothing."""
    import duckdb

    secret = tmp_path / "secret.parquet"
    duckdb.sql(f"COPY (SELECT 42 AS x) TO '{secret}'")
    link = page.bench._database.link.cursor()
    for sql in (
        f"FROM read_parquet('{secret}')",
        f"FROM '{secret}'",
        "FROM read_text('/etc/passwd')",
        "FROM glob('/etc/*')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        f"ATTACH '{tmp_path}/x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "SET allowed_directories = ['/']",
        "FROM read_parquet('http://127.0.0.1:1/x.parquet')",
        "SET memory_limit = '100GB'",
    ):
        with pytest.raises(duckdb.Error):
            link.execute(sql).fetchall()
    assert list(tmp_path.iterdir()) == [secret]


def test_a_question_ends_when_its_client_leaves(tmp_path: Path) -> None:
    """And when its time is over: the query is interrupted, and the next one is answered."""
    folder = write(tmp_path / "flows", rows(50))
    with served(folder, tmp_path / "cache", seconds=1.0) as page:
        ended: list[Any] = []
        slow(page, ended)
        body = json.dumps({"filter": ""}).encode()
        lines = [
            "POST /api/ends HTTP/1.1",
            host(page),
            bearer(page),
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
        with socket.create_connection(("127.0.0.1", page.port)) as link:
            link.sendall("\r\n".join([*lines, "", ""]).encode() + body)
            wait(lambda: "began" in ended)
        wait(lambda: "ended" in ended)
        ended.clear()
        answer = page.ask("/api/ends", {})
        assert answer.status == 504
        assert "ended" in ended
        assert page.ask("/api/talkers", {}).status == 200


def slow(page: Served, ended: list[Any]) -> None:
    """Let /api/ends ask the database for what takes minutes."""

    def work(asking: Any, _asked: Any) -> Any:
        import duckdb

        ended.append("began")
        try:
            asking.rows("SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3", [])
        except duckdb.InterruptException:
            ended.append("ended")
            raise

    page.bench._answers["/api/ends"] = work


def wait(holds: Any) -> None:
    """Until something is so."""
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_memory_is_bounded(page: Served) -> None:
    limit, spill = (
        page.bench._database.link.cursor()
        .execute("SELECT current_setting('memory_limit'), current_setting('temp_directory')")
        .fetchall()[0]
    )
    assert limit.startswith("953") or limit.startswith("1.0 G")
    assert spill == ""


def test_too_many_rows_are_refused(page: Served) -> None:
    assert page.ask("/api/flows", {"limit": 1001}).status == 400
    assert page.ask("/api/export", {"limit": 1_000_001}).status == 400
    assert page.ask("/api/facets", {"columns": ["src_ip"] * 21}).status == 400
    assert page.ask("/api/histogram", {"bucket": 1, "range": {"since": DAY, "until": DAY + HOUR}}).status == 400


def test_it_listens_on_the_loopback_address_alone(page: Served) -> None:
    others = {one[4][0] for one in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in others:
        if not address.startswith("127."):
            with pytest.raises(OSError, match=""):
                socket.create_connection((address, page.port), timeout=2)
    assert page.ask("/").status == 200
