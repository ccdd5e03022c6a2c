"""`whowas.toml`: what is said is taken, what is not known is refused, with the file and the key."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.kafka.connect import connect
from ingest.kafka.consumer import Owning, Subscription
from whowas.config import load
from whowas.errors import ConfigError
from whowas.kafka import IN, OUT, for_kafka_python, refuse_ours
from whowas.settings import StreamConfig

LEAST = """
[input]
topics = ["flows"]
[kafka.options]
"bootstrap.servers" = "b:1"
[history]
path = "h.db"
[parquet]
folder = "out"
"""


def loaded(tmp_path: Path, text: str) -> StreamConfig:
    path = tmp_path / "w.toml"
    path.write_text(text)
    return load(str(path))


def test_the_sample_says_what_is_the_default(root: Path) -> None:
    config = load(str(root / "deploy" / "whowas.toml"))
    assert config.naming.wait == "final"
    assert config.kafka.options == {"bootstrap.servers": "kafka:9092"}
    assert config.dead_letters.folder == "dead-letters"


def test_every_line_of_the_sample_may_be_said(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "secret")
    lines = (root / "deploy" / "whowas.toml").read_text().splitlines()
    bare = [line[2:] if line.startswith("# ") and ("=" in line or line.startswith("# [")) else line for line in lines]
    config = loaded(tmp_path, "\n".join(bare).replace("`whowas stream", "# `whowas stream"))
    assert config.kafka.options["sasl.password"] == "secret"
    assert config.kafka_output is not None
    assert config.naming.vnis == (42,)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (LEAST + "[parquets]\n", r"w.toml': parquets: unknown key; did you mean 'parquet'\?"),
        (LEAST + "[naming]\nwiat = 'never'\n", r"naming.wiat: unknown key; did you mean 'wait'\?"),
        (LEAST + "[naming]\nwait = 'ever'\n", "naming.wait: 'ever' is an unknown word; say one of final, never, pro"),
        (LEAST + "[naming]\nheld_rows = 0\n", "naming.held_rows: 0 is not above 0"),
        (LEAST + "[naming]\nheld_rows = true\n", "naming.held_rows: True is not a whole number"),
        (LEAST + "[naming]\nwait = 'provisional'\n", "naming.wait: provisional needs"),
        (LEAST + "[kafka_output]\ntopic = 'flows'\n", "kafka_output.topic: 'flows' is read too; choose another"),
        (LEAST + "[dead_letters]\ntopic = 'a'\nfolder = 'b'\n", "dead_letters: topic and folder are both said"),
        (LEAST.replace('topics = ["flows"]', ""), "input.topics: there is none; name the topics to read, or a folder"),
        (LEAST.replace('topics = ["flows"]', 'topics = ["a"]\nfolder = "b"'), "topics and folder are both said"),
        (LEAST.replace('["flows"]', "[]"), "input.topics: there is none; name the topics to read"),
        (LEAST.replace('["flows"]', "'flows'"), "input.topics: 'flows' is no list"),
        (LEAST.replace('[parquet]\nfolder = "out"', ""), "there is no output"),
        (LEAST.replace('"b:1"', '{ env = "WHOWAS_NOT_SET" }'), "the environment has no WHOWAS_NOT_SET"),
        (LEAST.replace('"b:1"', '{ file = "/none" }'), "cannot read '/none'"),
        ("[input\n", "cannot read configuration"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        loaded(tmp_path, text)


def test_secrets_come_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "first")
    (tmp_path / "two").write_text("second\n")
    text = LEAST.replace(
        '"b:1"', f'"b:1"\nsasl.username = {{ env = "ONE" }}\nsasl.password = {{ file = "{tmp_path}/two" }}'
    )
    assert loaded(tmp_path, text).kafka.options == {
        "bootstrap.servers": "b:1", "sasl.username": "first", "sasl.password": "second",
    }  # fmt: skip


def test_librdkafkas_names_are_translated() -> None:
    options = {"bootstrap.servers": "b:1", "session.timeout.ms": "3000", "linger.ms": 5,
               "ssl.endpoint.identification.algorithm": "none"}  # fmt: skip
    assert for_kafka_python(options, IN) == {
        "bootstrap_servers": "b:1", "session_timeout_ms": 3000, "ssl_check_hostname": False,
    }  # fmt: skip
    assert for_kafka_python(options, OUT) == {
        "bootstrap_servers": "b:1", "linger_ms": 5, "ssl_check_hostname": False,
    }  # fmt: skip


def test_every_translated_option_is_one_of_the_client() -> None:
    kafka = pytest.importorskip("kafka")
    from whowas.kafka import _NAMES

    for name, (theirs, way) in _NAMES.items():
        if way in ("both", IN):
            assert theirs in kafka.KafkaConsumer.DEFAULT_CONFIG, name
        if way in ("both", OUT):
            assert theirs in kafka.KafkaProducer.DEFAULT_CONFIG, name


def test_what_whowas_sets_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'group.id': say \[input\] group"):
        refuse_ours({"bootstrap.servers": "b:1", "group.id": "x"})
    with pytest.raises(ConfigError, match="bootstrap"):
        refuse_ours({})


@pytest.mark.parametrize(("client", "error"), [
    ("kafka-python", r"'fetch.min.byte': client 'kafka-python' has none like it; did you mean 'fetch.min.bytes'\?"),
    ("confluent", 'No such configuration property: "fetch.min.byte"'),
])  # fmt: skip
def test_an_option_that_nobody_knows_is_refused_by_name(client: str, error: str) -> None:
    pytest.importorskip("kafka" if client == "kafka-python" else "confluent_kafka")
    with pytest.raises(ConfigError, match=error):
        connect(client, {"bootstrap.servers": "127.0.0.1:1", "fetch.min.byte": 1}, Subscription((), "g"),
                Owning(print, print))  # fmt: skip
