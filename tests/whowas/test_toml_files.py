"""Files of TOML that are none: each is told with its name, and by no error of the parser's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from whowas.errors import ConfigError
from whowas.toml_files import read_toml


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"a = " + b"[" * 5000 + b"]" * 5000, "nested too deeply"),
        (b"a = " + b"{b=" * 5000, "nested too deeply"),
        (b"a = " + b"1" * 5000, "digits"),
        (b"a = \xff", "decode"),
        (b"a = \n", "line 1"),
    ],
)
def test_what_is_no_toml_is_told(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=why) as told:
        read_toml(path, "networks", "see the manual")
    assert str(path) in str(told.value)
