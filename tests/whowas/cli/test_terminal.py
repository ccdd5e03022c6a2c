"""The one place that prints: what it lets through to a terminal, to a pipe, and to a full disk; and that it is one."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.terminals import EVIL, obeyed

from whowas.cli import terminal
from whowas.safe_text import clean, clean_json, clean_lines, escape_surrogates

PLACE = "whowas/cli/terminal.py"
# Where else a name of these may stand, because what it makes never prints.
PRINTERS = {
    "print", "echo", "secho", "echo_via_pager", "progressbar", "confirm", "prompt", "pprint", "Console",
    "StreamHandler", "basicConfig", "print_exc", "print_exception", "print_stack",
}  # fmt: skip
OURS = {"screen.print", "console.print", "echo", "terminal.echo"}
ASKS = {"isatty"}
DRAWERS = {"Live", "rich.Progress"}


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True

    def close(self) -> None:
        """What came is looked at when the guard is gone."""


def guarded(below: Any, error: bool = False) -> terminal.Standard:
    return terminal.Standard(below, "utf-8", error)


def spoken(node: ast.AST) -> str:
    return ast.unparse(node)


def offences(tree: ast.AST) -> Iterator[str]:
    """Calls that print, and uses of the standard streams other than to ask what they are."""
    asked = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Attribute) and one.attr in ASKS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = spoken(node.func)
            screen = name.startswith("console(") and name.endswith(").print")
            if name.rpartition(".")[2] in PRINTERS and name not in OURS and not screen:
                yield f"{node.lineno}: {name}"
            if name in DRAWERS and "console" not in {one.arg for one in node.keywords}:
                yield f"{node.lineno}: {name} without our console"
        if isinstance(node, ast.Attribute) and spoken(node) in ("sys.stdout", "sys.stderr") and id(node) not in asked:
            yield f"{node.lineno}: {spoken(node)}"
        if isinstance(node, ast.Attribute) and node.attr in ("__stdout__", "__stderr__", "lastResort"):
            yield f"{node.lineno}: {spoken(node)}"


def test_nothing_else_prints(root: Path) -> None:
    files = [one for room in ("whowas", "ingest", "enrich", "detect", "sinks") for one in (root / room).rglob("*.py")]
    assert len(files) > 200
    found = {
        f"{file.relative_to(root)}:{offence}"
        for file in files
        if file.relative_to(root).as_posix() != PLACE
        for offence in offences(ast.parse(file.read_text()))
    }
    assert found == set()


@pytest.mark.parametrize(
    "line",
    ["print(1)", "click.echo(x)", "sys.stdout.write(x)", "f(sys.stderr)", "sys.stdout.buffer.write(x)", "Console()",
     "logging.StreamHandler()", "traceback.print_exc()", "Live(x)", "sys.__stderr__.write(x)", "os.write(sys.stdout)"],
)  # fmt: skip
def test_an_offence_is_seen(line: str) -> None:
    assert list(offences(ast.parse(line)))


@given(st.text())
def test_clean_text_is_printable_and_one_line(text: str) -> None:
    assert clean(text).isprintable()
    assert all(one.isprintable() or one in "\n\t" for one in clean_lines(text))
    assert clean_lines(text).count("\n") == text.count("\n")


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_clean_json_says_the_same(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    assert json.loads(clean_json(text)) == value
    assert obeyed(clean_json(text)) == []


@given(st.text(st.characters()))
def test_half_characters_become_escapes(text: str) -> None:
    told = escape_surrogates(json.dumps(text, ensure_ascii=False))
    assert json.loads(told.encode()) == text


def test_the_guard_lets_nothing_through_whoever_writes() -> None:
    below = Terminal()
    print(EVIL, file=guarded(below))
    assert obeyed(below.getvalue().decode()) == ["FAKE line\\ry"]
    pipe = io.BytesIO()
    stream = guarded(pipe)
    print(EVIL, file=stream, flush=True)
    assert pipe.getvalue().decode() == EVIL + "\n"


def at_screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal before this process. In the test itself: before it pytest changes the streams again."""
    below = Terminal()
    monkeypatch.setattr(sys, "stdout", guarded(below))
    monkeypatch.setattr(sys, "stderr", guarded(below, error=True))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return below


def test_every_way_to_print_is_harmless_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.text import Text

    screen = at_screen(monkeypatch)
    terminal.echo(EVIL)
    terminal.error(EVIL)
    terminal.print_text(EVIL.replace("\n", " "))
    terminal.print_json({EVIL: [EVIL]})
    terminal.print_csv([[EVIL, None, 1, "=1+1"]])
    terminal.console().print(EVIL)
    terminal.console(err=True).print(Text(EVIL.replace("\n", " "), style="red"), style="bold")
    with terminal.bars() as bars:
        bars.add_task(f"[/b]{EVIL}".replace("\n", " "), total=1, read=EVIL.replace("\n", " "))
    said = screen.getvalue().decode()
    assert obeyed(said) == []
    assert said.count("pwned") >= 9
    assert "\x1b[31m" in said or "\x1b[1;31m" in said  # our own colour arrives
    assert "[/b]" in said  # a name is no markup
    assert '"\'=1+1"' in said


def test_json_at_a_terminal_is_still_that_json(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = at_screen(monkeypatch)
    terminal.print_json({EVIL: EVIL}, line=True)
    assert json.loads(screen.getvalue()) == {EVIL: EVIL}


class Full(io.BytesIO):
    def write(self, _data: Any) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_an_error_of_output_and_keeps_no_error_from_the_work() -> None:
    with pytest.raises(terminal.OutputError, match="cannot write to standard output: No space left on device"):
        print("x", file=guarded(Full()), flush=True)
    print("x", file=guarded(Full(), error=True), flush=True)


@pytest.mark.parametrize(
    "words",
    [
        ("schema",),
        ("rules", "list", "--json"),
        ("annotate", "samples/annotate/eve.json", "-H", "samples/overlay/history.jsonl.gz"),
    ],
)
def test_a_full_standard_output_ends_with_one_line_and_2(words: tuple[str, ...], root: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "whowas", *words], cwd=root, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("whowas: cannot write to standard output: No space left on device")
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_is_no_error(root: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run([sys.executable, "-m", "whowas", "schema"], cwd=root, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (141, b"")


def test_tables_are_not_cut_where_nobody_looks(root: Path) -> None:
    """Lines are as long as they are, whatever COLUMNS says: another program reads them."""
    for words in (("schema",), ("rules", "list"), ("who", "10.244.1.20", "-H", "samples/overlay/history.jsonl.gz")):
        said = [
            subprocess.check_output(
                [sys.executable, "-m", "whowas", *words], cwd=root, env=os.environ | {"COLUMNS": wide}, text=True
            )
            for wide in ("40", "400")
        ]
        assert said[0] == said[1]
        assert max(map(len, said[0].splitlines())) > 80


def test_every_command_can_be_quiet() -> None:
    """And is asked so in the same words; a new command gets the option by itself."""
    from click.testing import CliRunner
    from support.cli_commands import every_command

    from whowas.cli import group

    for path, command in every_command(group):
        (option,) = [one for one in command.params if "--quiet" in one.opts]
        assert "-q" in option.opts, path
        assert "-q, --quiet" in CliRunner().invoke(group, [*path.split(), "--help"]).output


def test_quiet_leaves_out_what_was_done_and_not_what_was_asked_for(root: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from whowas.cli import group

    def said(*words: str) -> str:
        result = CliRunner().invoke(group, list(words))
        assert result.exit_code == 0, result.output
        return result.output

    store, evidence = str(tmp_path / "a.db"), str(root / "samples/crafted/history.jsonl")
    assert said("history", "import", "-q", store, evidence) == ""
    assert "events" in said("history", "import", str(tmp_path / "b.db"), evidence)
    assert said("history", "info", "-q", store) == said("history", "info", store)
    assert said("history", "compact", "-q", store) == ""
    assert said("schema", "-q") == said("schema")


def test_tz_shows_and_timezone_reads() -> None:
    from support.cli_commands import every_command

    from whowas.cli import group

    words = {"--tz": "shown", "--timezone": "read"}
    found = [
        (path, one.opts[0], words[one.opts[0]] in one.help)
        for path, command in every_command(group)
        for one in command.params
        if one.opts[0] in words
    ]
    assert {name for _, name, _ in found} == set(words)
    assert [one for one in found if not one[2]] == []


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (95.2, "95 s"), (2400, "40 min"), (108_000, "30 h"), (793_990, "9 days")]
)
def test_lengths_of_time_for_people(seconds: float, told: str) -> None:
    assert terminal.span(seconds) == told
