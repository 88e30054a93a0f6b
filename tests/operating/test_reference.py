"""The page of the configuration names the keys that there are, and what holds where one is left out."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.paths import ROOT
from tocsin.node.home import config as configs

PAGE = (ROOT / "docs" / "reference" / "node-toml.md").read_text(encoding="utf-8")
TABLES: dict[str, type[msgspec.Struct]] = {
    "The node": configs.Config,
    "`[[networks]]`": configs.NetworkUse,
    "`[[networks.peers]]`": configs.PeerUse,
    "`[[networks.witnesses]]`": configs.WitnessUse,
    "`[networks.cometbft]`": configs.CometUse,
    "`[witness]`": configs.WitnessDuty,
}


def rows(heading: str) -> list[tuple[str, str]]:
    """(key, what holds if it is left out) of the table under a heading."""
    (section,) = re.findall(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    return re.findall(r"^\| `([^`]+)` \|.*\| ([^|]+) \|$", section, re.M)


def told(default: Any) -> str | None:
    """How a default stands on the page, where it is a value; None where a sentence says it."""
    return f"`{msgspec.json.encode(default).decode()}`" if isinstance(default, bool | int | str) else None


def test_the_page_has_a_table_for_each_of_the_file() -> None:
    structs = {one for one in vars(configs).values() if isinstance(one, type) and issubclass(one, msgspec.Struct)}
    assert set(TABLES.values()) == structs - {msgspec.Struct}
    assert re.findall(r"^## (.+)$", PAGE, re.M) == list(TABLES)


@pytest.mark.parametrize("heading", TABLES)
def test_a_table_names_the_keys_and_what_holds_without_them(heading: str) -> None:
    fields = {one.encode_name: one for one in msgspec.structs.fields(TABLES[heading])}
    found = rows(heading)
    assert sorted(key for key, _ in found) == sorted(fields)
    for key, without in found:
        assert (without == "required") == fields[key].required, key
        assert told(fields[key].default) in (None, without), key


def test_who_wrote_what_no_sentence_is_about_is_sent_to_the_page(tmp_path: Path) -> None:
    file = """
        listen = "127.0.0.1:8440"
        data-dir = "data"
        signed-heads = "heads"
        keystore = "keys.json"
        [[networks]]
        origin = "health.example/tw/tainan"
        engine = "cometbft"
        [networks.members]
        "no id" = "http://127.0.0.1:8441"
        """
    with pytest.raises(configs.ConfigError) as raised:
        configs.parse(file.encode(), tmp_path / "node.toml")
    (page,) = re.findall(r"docs/\S+\.md", str(raised.value))
    assert (ROOT / page).is_file()
