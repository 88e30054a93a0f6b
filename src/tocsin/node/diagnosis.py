"""Why a network stands still, or what is left until it does: who of those that are needed is here."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from tocsin.node.web.remote import Remote, RemoteError, Standing, printable

IDLE_S = 100.0
"""Blocks come once a minute at least; longer than this they do not come."""


class Diagnosis(Struct, frozen=True):
    """`well`: it runs here, and goes on; `away`: member -> why it does not count; `verdict`: in a sentence."""

    well: bool
    away: dict[str, str]
    verdict: str


def ask_members(client: httpx.Client, status: dict[str, Any]) -> dict[str, Standing | str]:
    """Ask each other member's node at once how it stands: its status, or why there is none.

    `status`: of one network at this node (`tocsin.node.station.Station.status`).
    """
    if not status["runs"]:
        return {}

    def ask(url: str) -> Standing | str:
        try:
            return Remote(client, url, status["origin"]).status()
        except RemoteError as error:
            return str(error)

    members: dict[str, dict[str, Any]] = status["members"]
    with ThreadPoolExecutor(max(1, len(members))) as pool:
        return dict(zip(members, pool.map(ask, [one["url"] for one in members.values()]), strict=True))


def diagnose(status: dict[str, Any], answers: dict[str, Standing | str]) -> Diagnosis:
    """Judge by this node's status and what the others' nodes answered."""
    if not status["runs"]:
        return Diagnosis(False, {}, f"it does not run here: {status['error'] or 'it is starting'}")
    apart = _apart(status, answers)
    if apart:
        return Diagnosis(False, {}, apart)
    signers = status["signers"]
    # CometBFT orders by more than two thirds, which is more than finality asks for where there are 3 or 6.
    need = max(status["need"], 2 * len(signers) // 3 + 1) if status["engine"] == "cometbft" else status["need"]
    every = answers | {status["member"]: msgspec.convert(status, Standing)}
    away = {id: why for id in signers if (why := _why(status, every.get(id)))}
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


def _apart(status: dict[str, Any], answers: dict[str, Standing | str]) -> str:
    """Why this node is cut off from the others, by what it knows and what they say; empty if it is not."""
    member = status["member"]
    others = {
        id: answer for id, answer in answers.items()
        if isinstance(answer, Standing) and answer.runs and answer.genesis == status["genesis"]
    }  # fmt: skip
    for who, roster in [("the log", status["roster"]), *((id, one.roster) for id, one in others.items())]:
        standing = roster.get(member)
        if standing in ("left", "expelled"):
            what = "was expelled" if standing == "expelled" else "has left"
            return f"{member} {what}, says {who}: the members' nodes let this one in no more, and it stays where it is"
    if status["connected"] == [] and others:
        return (
            f"this node's CometBFT is connected to no other, though {', '.join(others)} can be asked: a port is "
            "closed, or they do not let it in; they do by `tocsin node meet`, an observer's by `tocsin node observer`"
        )
    return ""


def _why(status: dict[str, Any], answer: Standing | str | None) -> str:
    """Why a signer does not count; empty if it does."""
    if answer is None:
        return "its address is not known here; take it from its offer by `tocsin node meet`"
    if isinstance(answer, str):
        return answer
    if not answer.runs:
        return f"its node is there, but does not run this network: {printable(answer.error) or 'it is starting'}"
    if answer.genesis != status["genesis"]:
        return "its node is of another network of the same name"
    if answer.stale:
        keys = printable(" and ".join(answer.stale))
        return f"its node runs with {keys} keys that are not in force; start it again with the right ones"
    if answer.lacks:
        return f"its node has no {printable(' and '.join(answer.lacks))} key; its keystore lacks what it signs with"
    if status["engine"] == "cometbft" and answer.connected is None:
        return f"its CometBFT does not answer. {printable(answer.trouble)}".rstrip()
    if (answer.idle_s or 0) > IDLE_S >= (status["idle_s"] or 0):
        return f"it stands at block {answer.height} since {answer.idle_s:.0f} s, while blocks come here"
    return ""
