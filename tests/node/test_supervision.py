"""Parts of a node that die: it is said, and they run again; a node whose part is dead never looks healthy."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.node.net import Nodes, now, until
from tests.paths import ROOT
from tocsin.client.signing import sign_acts
from tocsin.engine.embedded.engine import EmbeddedEngine
from tocsin.kernel.acts import Present
from tocsin.node import station as stations
from tocsin.node.finality.finality import Finality
from tocsin.node.finality.sealing import Sealing
from tocsin.node.finality.witnessing import Witnessing
from tocsin.node.follower import Follower
from tocsin.node.home.config import Config, WitnessUse
from tocsin.node.relays.carrier import Carrier
from tocsin.node.station import Station
from tocsin.node.trial import testnet
from tocsin.node.web.remote import RemoteError

LOWER = "testnet.example/2-1"
RELAY = "2-1-a1"
WITNESS = WitnessUse("http://127.0.0.1:9", "member0.example/w+8eabd538+BEOnLnFEAXYt9mtowm373yaCquyfJHTspGE+QkoPuv08")


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    monkeypatch.setattr(stations, "_BACK_OFF_S", (3600.0,))

    def change(name: str, config: Config) -> Config:
        networks = [msgspec.structs.replace(use, witnesses=[WITNESS]) for use in config.networks]
        return msgspec.structs.replace(config, networks=networks)

    made = Nodes(tmp_path / "nodes", testnet.shape(3, [1, 1]), change)
    yield made
    made.close()


def once(monkeypatch: pytest.MonkeyPatch, kind: type, name: str) -> None:
    """Have a method fail when it is next called, in a way that nobody expects."""
    true: Callable[..., Any] = getattr(kind, name)
    failed: list[bool] = []

    def fail(self: object, *given: object) -> object:
        if not failed:
            failed.append(True)
            raise ZeroDivisionError("who would have thought")
        return true(self, *given)

    monkeypatch.setattr(kind, name, fail)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Finality, "_sign_heads"),
        (Finality, "_target"),
        (Witnessing, "_ask"),
        (Carrier, "carry"),
        (Sealing, "_run"),
        (EmbeddedEngine, "_take"),
        (Follower, "_take"),
        (Station, "_open"),
        (Station, "_look_for_trouble"),
    ],
)
def test_a_part_that_dies_is_said_and_runs_again(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, kind: type, name: str
) -> None:
    begun = now()
    once(monkeypatch, kind, name)
    nodes.start()
    every = {(node, origin): station for node, agency in nodes.running.items()
             for origin, station in agency.stations.items()}  # fmt: skip

    def died() -> bool:
        with suppress(RemoteError, KeyError):
            at = nodes.remote(RELAY, LOWER)
            standing = at.status()
            if standing.runs:
                signer = nodes.keys.signer(LOWER, RELAY, "act")
                at.submit(sign_acts(signer, standing.genesis, RELAY, now() + 60_000, [Present(1)]))
        return any(one.error for one in every.values())

    until(died)
    (where,) = (place for place, one in every.items() if one.error)
    station = every[where]
    until(lambda: not station.status()["runs"])  # it says why before it has let go of all
    said = station.status()
    assert "ZeroDivisionError: who would have thought" in said["error"]
    assert begun <= said["since"] <= now()

    def heard() -> str:
        return "\n".join(sentence for *place, sentence in nodes.said if tuple(place) == where)

    until(lambda: "It starts again in 3600 s." in heard())
    assert "Traceback" in heard()
    station.change(msgspec.structs.replace(station._use))  # nobody waits an hour who has mended something
    nodes.live(*where)
    assert station.status()["error"] == ""
    assert [one.restarts for one in every.values()].count(0) == len(every) - 1, "what failed in one is nothing to others"


def test_the_reference_names_all_that_a_status_says(nodes: Nodes) -> None:
    nodes.start(RELAY)
    nodes.live(RELAY, LOWER)
    said = nodes.running[RELAY].status()
    page = (ROOT / "docs/reference/http.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ", page, re.MULTILINE)
    named = {name for cell in cells for name in re.findall(r"\w+", cell)}
    assert named == {name for one in said["networks"] for name in one if one["origin"] == LOWER}
    assert set(said) == {"address", "witness", "config", "networks"}


def test_a_trouble_is_told_while_it_lasts_and_is_history_then(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["the first", "the second", ""]
    monkeypatch.setattr(stations, "trouble_of", lambda engine: words[0])
    nodes.start(RELAY)
    station = nodes.station(RELAY, LOWER)
    begun = now()
    for _ in range(2):
        until(lambda: station.status()["trouble"] == words[0])
        first = station.status()["last_trouble"]
        assert begun <= first["since"] <= now()
        assert first["until"] is None
        words.pop(0)
    until(lambda: station.status()["trouble"] == "")
    last = station.status()["last_trouble"]
    assert last["what"] == "the second"
    assert last["since"] <= last["until"] <= now()
    heard = [sentence for who, network, sentence in nodes.said if network == LOWER]
    assert (heard.count("the first"), heard.count("the second")) == (1, 1)
