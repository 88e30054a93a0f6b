"""Why a network stands still, or what is left until it does: who of those that are needed is here."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from msgspec import Struct

from tocsin.node.remote import Remote, RemoteError

IDLE_S = 100.0
"""Blocks come once a minute at least; longer than this they do not come."""


class Diagnosis(Struct, frozen=True):
    """`well`: it runs here, and goes on; `away`: member -> why it does not count; `verdict`: in a sentence."""

    well: bool
    away: dict[str, str]
    verdict: str


def ask_members(client: httpx.Client, status: dict[str, Any]) -> dict[str, dict[str, Any] | str]:
    """Ask each other member's node at once how it stands: its status, or why there is none.

    `status`: of one network at this node (`tocsin.node.station.Station.status`).
    """
    if not status["runs"]:
        return {}

    def ask(url: str) -> dict[str, Any] | str:
        try:
            return Remote(client, url, status["origin"]).status()
        except RemoteError as error:
            return str(error)

    members: dict[str, dict[str, Any]] = status["members"]
    with ThreadPoolExecutor(max(1, len(members))) as pool:
        return dict(zip(members, pool.map(ask, [one["url"] for one in members.values()]), strict=True))


def diagnose(status: dict[str, Any], answers: dict[str, dict[str, Any] | str]) -> Diagnosis:
    """Judge by this node's status and what the others' nodes answered."""
    if not status["runs"]:
        return Diagnosis(False, {}, f"it does not run here: {status['error'] or 'it is starting'}")
    signers = status["signers"]
    # CometBFT orders by more than two thirds, which is more than finality asks for where there are 3 or 6.
    need = max(status["need"], 2 * len(signers) // 3 + 1) if status["engine"] == "cometbft" else status["need"]
    away = {id: _why(status, answers.get(id)) for id in signers if id != status["member"]}
    if status["stale"] and status["member"] in signers:
        away[status["member"]] = _stale(status["stale"])
    away = {id: why for id, why in away.items() if why}
    here = len(signers) - len(away)
    spare = here - need
    verdict = f"{here} of {len(signers)} signers are here and {need} are needed"
    if spare < 0:
        verdict += f": it stands still until {-spare} more of {', '.join(away)} is back"
    elif (status["idle_s"] or 0) > IDLE_S:
        verdict += f", but there was no block for {status['idle_s']:.0f} s; look at the logs, here and at the others"
        return Diagnosis(False, away, verdict)
    elif spare == 0:
        verdict += ": if one more is lost, it stands still"
    return Diagnosis(spare >= 0 and status["final"] > 0, away, verdict)


def _why(status: dict[str, Any], answer: dict[str, Any] | str | None) -> str:
    """Why a signer does not count; empty if it does."""
    if answer is None:
        return "its address is not known here; take it from its offer by `tocsin node meet`"
    if isinstance(answer, str):
        return answer
    if not answer.get("runs"):
        return f"its node is there, but does not run this network: {answer.get('error') or 'it is starting'}"
    if answer.get("genesis") != status["genesis"]:
        return "its node is of another network of the same name"
    return _stale(answer["stale"]) if answer.get("stale") else ""


def _stale(roles: list[str]) -> str:
    return f"its node runs with {' and '.join(roles)} keys that are not in force; start it again with the right ones"
