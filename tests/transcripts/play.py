"""Plays a scenario and writes down everything the kernel answers."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.transcripts.script import Said, Verbs, changed, length
from tests.transcripts.show import Shower, moment
from tests.transcripts.world import ROLES, START, Network, Result, ScenarioError
from tocsin.charters import for_network, load
from tocsin.kernel import acts, leaves
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import incident_id, message_id
from tocsin.kernel.reasons import Reason
from tocsin.kernel.upgrade import UnknownProtocol

CARRIED = ("relayed.report.", "relayed.order.", "relayed.share.", "relayed.finding")
"""Kinds that are called after what they were where they come from; others are answers and have a number only."""
MARK = "|"
"""First character of a line that the kernel wrote."""


class Queued:
    """An act that waits, and what must become of it."""

    def __init__(self, said: Said, name: str | None, must: str | None, dropped: bool, author: str) -> None:
        self.said, self.name, self.must, self.dropped, self.author = said, name, must, dropped, author


class Player:
    """Holds the networks of one scenario and plays it line by line."""

    def __init__(self) -> None:
        self.shower = Shower()
        self.networks = self.shower.networks
        self.ids: dict[str, str] = {}
        self.verbs = Verbs(self.ids, self.networks)
        self.charters: dict[str, dict[str, str]] = {}
        self.waiting: dict[str, list[list[Queued]]] = {}
        self.counts: dict[str, int] = {}

    @property
    def network(self) -> Network:
        return self.verbs.network

    @property
    def now(self) -> int:
        return self.verbs.now

    # Lines.

    def line(self, text: str) -> Iterator[str]:
        """Play one line of a script; yields what it makes."""
        text = text.partition(" # ")[0].strip()
        quiet = text.startswith("quietly ")
        for said in self._line(text.removeprefix("quietly ")):
            if not quiet:
                yield said

    def _line(self, text: str) -> Iterator[str]:
        word, _, rest = text.partition(" ")
        statements: dict[str, Callable[[str], Iterator[str]]] = {
            "network": self._network, "members": self._members, "in": self._in, "at": self._at, "block": self._block,
            "run": self._run, "link": self._link, "expect": self._expect, "found": self._found,
            "halts": self._halts,
        }  # fmt: skip
        if word in statements:
            yield from statements[word](rest)
        else:
            yield from self._acts(word, rest)

    def _network(self, rest: str) -> Iterator[str]:
        name, *options = rest.split()
        values = dict(one.split("=", 1) for one in options)
        self.networks[name] = self.verbs.network = Network(name)
        self.charters[name] = values
        self.waiting[name] = []
        yield from ()

    def _members(self, rest: str) -> Iterator[str]:
        for group in rest.split(";"):
            names, _, roles = group.partition(":")
            for name in names.split(","):
                self.network.add(name.strip(), roles.split())  # type: ignore[arg-type]
        yield from ()

    def _found(self, rest: str) -> Iterator[str]:
        for name, values in list(self.charters.items()):
            del self.charters[name]
            network = self.networks[name]
            charter = load(values.pop("charter"))
            if values.pop("fit", None):
                roles = list(network.roles.values())
                counts = [sum(role in one for one in roles) for role in ("voter", "supervisor")]
                charter, notes = for_network(charter.name, *counts, k=_int(values.pop("k", None)))
                yield from notes
            charter = changed(charter, values)
            self._name_charter(charter)
            result = network.found(charter, self.now)
            self._name_keys(network)
            yield from self.shower.block(result)

    def _in(self, rest: str) -> Iterator[str]:
        if rest not in self.networks:
            raise ScenarioError(f"there is no network `{rest}`")
        self.verbs.network = self.networks[rest]
        yield from ()

    def _at(self, rest: str) -> Iterator[str]:
        at = self.now + length(rest[1:]) if rest.startswith("+") else START + length(rest)
        if at < self.now:
            raise ScenarioError(f"the clock stands at {moment(self.now)} already")
        self.verbs.now = at
        yield from ()

    def _run(self, rest: str) -> Iterator[str]:
        """Clock and blocks, one at each deadline of any network on the way, as engines make them."""
        until = rest.removeprefix("to ")
        end = self.now + length(until[1:]) if until.startswith("+") else START + length(until)
        while True:
            due = [
                (at, name) for name, one in self.networks.items() if (at := one.state.next_deadline()) is not None
            ]
            at, name = min(due, default=(end + 1, ""))
            if at > end:
                break
            self.verbs.now = max(at, self.now)
            yield from self._make(self.networks[name])
        self.verbs.now = end

    def _block(self, rest: str) -> Iterator[str]:
        yield from self._make(self.networks[rest] if rest else self.network)

    def _halts(self, rest: str) -> Iterator[str]:
        """A node with the rules of this release makes no further block."""
        try:
            self.network.apply(self.now, [])
        except UnknownProtocol as error:
            yield f"{self.network.name} halts: {error}"
            return
        raise ScenarioError(f"{self.network.name} goes on")

    def _make(self, network: Network) -> Iterator[str]:
        result = network.block(self.now)
        self._name(result)
        yield from self.shower.block(result)
        self._compare(result)

    # Acts.

    def _acts(self, authors: str, rest: str) -> Iterator[str]:
        match = re.fullmatch(r"(.*?)(?: (refused|dropped) ([A-Z_]+))?", rest)
        assert match is not None
        body, how, must = match[1], match[2], match[3]
        if " refused" in body or " dropped" in body:
            raise ScenarioError(f"`{body}`: a refusal ends the line")
        if must is not None and must not in Reason.__members__:
            raise ScenarioError(f"there is no reason {must}")
        for shown in authors.split(","):
            self._envelope(shown, body, must, how == "dropped")
        yield from ()

    def _envelope(self, shown: str, body: str, must: str | None, dropped: bool) -> None:
        author = self.verbs.member(shown)
        parts: list[Queued] = []
        lines = []
        options = re.search(r" valid=(\w+)", body)
        body = body if options is None else body.replace(options[0], "")
        for part in body.split(";"):
            text, _, name = part.strip().partition(" as ")
            said = self.verbs.parse(author, text)
            # In an envelope of several acts the reason belongs to the last.
            parts.append(Queued(said, name or None, None, dropped, author))
            lines.append(f"{shown} {text}" + (f" as {name}" if name else ""))
        parts[-1].must = must
        lines[-1] += "" if options is None else options[0]
        how: dict[str, object] = {} if options is None else {"valid": length(options[1])}
        if parts[0].said.key != "act":
            how["key"] = self.network.keyring(author).signer(parts[0].said.key)
        envelope = self.network.put(author, [one.said.act for one in parts], self.now, lines, **how)
        for index, one in enumerate(parts):
            if one.said.opens is not None:
                id = message_id(envelope.digest, index)
                if one.name is None:
                    count = self.counts[one.said.opens] = self.counts.get(one.said.opens, 0) + 1
                    one.name = f"{one.said.opens}-{count}"
                if one.must is None or one.name not in self.ids:
                    self.ids[one.name] = id
                self._give(id, one.name)
            elif one.name is not None:
                raise ScenarioError(f"`{body}` opens no message that could be called {one.name}")
        self.waiting[self.network.name].append(parts)

    def _compare(self, result: Result) -> None:
        """Every act must have met what the script says."""
        name = result.network.name
        waiting, self.waiting[name] = self.waiting[name], []
        codes = iter(result.outcome.receipts)
        dropped = dict(result.outcome.dropped)
        for position, parts in enumerate(waiting):
            got = [dropped[position]] * len(parts) if position in dropped else [Reason(one) for one in next(codes)]
            for one, reason in zip(parts, got, strict=True):
                wanted = Reason.ACCEPTED if one.must is None else Reason[one.must]
                if reason != wanted or (position in dropped) != (one.dropped and one.must is not None):
                    what = type(one.said.act).__name__
                    raise ScenarioError(f"{what} by {one.author} met {reason.name}, the script says {wanted.name}")
                if reason == Reason.ACCEPTED and isinstance(one.said.act, acts.Rotate):
                    ring = result.network.keyring(one.author)
                    ring.turn[one.said.act.which] += 1

    # Names.

    def _give(self, id: str, name: str) -> None:
        self.shower.names[id] = name
        self.shower.names[incident_id(id)] = f"I({name})"
        self.ids[f"I({name})"] = incident_id(id)

    def _name_charter(self, charter: Charter) -> None:
        known = [one for one in self.shower.names.values() if one.split("'")[0] == charter.name]
        self.shower.names.setdefault(charter.digest, charter.name + "'" * len(known))

    def _name_keys(self, network: Network) -> None:
        for name, ring in network.keyrings.items():
            for role in ROLES:
                for turn in range(ring.turn[role] + 2):
                    shown = f"{role}-{turn}" if turn else role
                    self.shower.names[ring.at(role, turn).public_key] = f"{network.shown.get(name, name)}.{shown}"

    def _name(self, result: Result) -> None:
        """Names of what a block made by itself: relayed messages, new charters and keys."""
        network = result.network
        self._name_keys(network)
        for leaf in result.leaves:
            if isinstance(leaf, leaves.CharterLeaf):
                self._name_charter(leaf.charter)
            elif isinstance(leaf, leaves.Opened | leaves.Final) and isinstance(leaf.terms, acts.CharterMotion):
                self._name_charter(leaf.terms.charter)
            elif isinstance(leaf, leaves.Relayed) and leaf.id is not None and leaf.source is not None:
                sender = self.shower.place(leaf.peer)
                told = self.shower.names.get(leaf.source.sender_id, "").partition("@")[0]
                made = network.message(leaf.id)
                carried = made is not None and made.kind.startswith(CARRIED)
                name = f"{told}@{network.name}" if told and carried else f"{sender}#{leaf.number}"
                if name in self.ids and self.ids[name] != leaf.id:
                    name = f"{sender}#{leaf.number}"
                self.ids[name] = leaf.id
                self._give(leaf.id, name)

    # Peers, by real motions.

    def _link(self, rest: str) -> Iterator[str]:
        match = re.fullmatch(r"(\w+) (under|beside) (\w+)(?:, represented by (\w+))?(?:, (.*))?", rest)
        if match is None:
            raise ScenarioError(f"`link {rest}` is not understood")
        low, how, high, by, options = match.groups()
        there = "child" if how == "under" else "peer"
        here = "parent" if how == "under" else "peer"
        extra = "" if not options else f" {options}"
        yield from self._declare(self.networks[high], f"{low} relation={there}" + (f" by={by}" if by else "") + extra)
        yield from self._declare(self.networks[low], f"{high} relation={here}")

    def _declare(self, network: Network, words: str) -> Iterator[str]:
        before, self.verbs.network = self.verbs.network, network
        rule = network.state.charter.rules[network.state.charter.match("motion.peer", "none") or 0]
        members = sorted(network.state.members.items())
        electors = [network.shown[name] for name, one in members if set(one.roles) & set(rule.electorate)]
        name = f"peer-{words.split()[0]}"
        yield from self._acts(electors[0], f"peer add {words} as {name}@{network.name}")
        yield from self._make(network)
        yield from self._acts(",".join(electors[1:]), f"endorse {name}@{network.name}")
        yield from self._make(network)
        if self.networks[words.split()[0]].origin not in network.state.peers:
            raise ScenarioError(f"{network.name} did not take {words}")
        self.verbs.network = before

    # Expectations.

    def _expect(self, rest: str) -> Iterator[str]:
        subject, *words = rest.split()
        field, value = (words[0], words[1]) if len(words) > 1 else ("state", words[0])
        got = self._look(subject, field)
        if got != value:
            raise ScenarioError(f"{subject} {field} is {got} and not {value}")
        yield from ()

    def _look(self, subject: str, field: str) -> str:
        network = self.network
        if subject in network.shown.values():
            name = self.verbs.member(subject)
            account, member = network.state.accounts[name], network.state.members[name]
            found = getattr(member, field, None) if hasattr(member, field) else getattr(account, field)
        elif subject in self.networks and field in ("pinned", "next_in", "next_out", "peer"):
            row = network.state.peers[self.networks[subject].origin]
            named = {"pinned": row.entry.size, "next_in": row.next_in, "next_out": row.next_out, "peer": row.state}
            found = named[field]
        elif subject.startswith("I("):
            id = self.verbs.id(subject)
            incident = network.incident(id)
            if incident is None:
                return "missing"
            if field == "state":
                return "live" if incident.closed is None else "closed"
            found = getattr(incident, field)
        else:
            row = network.message(self.verbs.id(subject))
            if row is None:
                return "missing"
            found = getattr(row, field)
        return self._plain(found)

    def _plain(self, value: object) -> str:
        if isinstance(value, list):
            return ",".join(self._plain(one) for one in value) or "nobody"
        if isinstance(value, tuple):
            return f"{self.shower.place(value[0])}#{value[1]}"
        if isinstance(value, str):
            return self.shower.names.get(value) or self.shower.who(self.network, value)
        return "none" if value is None else str(value)

    def ends(self) -> Iterator[str]:
        """The logs as they stand, so that not one byte of them can change unseen."""
        for name, network in self.networks.items():
            yield f"{name} ends with {len(network.log)} leaves, root {network.root(len(network.log)).hex()[:16]}"


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)


def script_of(text: str) -> list[str]:
    """A transcript without what the kernel wrote."""
    return [line for line in text.splitlines() if not line.startswith(MARK)]


def play(script: list[str]) -> str:
    """The whole transcript of a script. Raises ScenarioError, with the line, if the script does not hold."""
    player = Player()
    written: list[str] = []
    for number, line in enumerate(script, start=1):
        written.append(line)
        if not line.strip() or line.startswith("#"):
            continue
        try:
            written += [f"{MARK} {said}" for said in player.line(line)]
        except ScenarioError as error:
            shown = "\n".join(written[-40:])
            raise ScenarioError(f"{shown}\n\nline {number}, `{line}`: {error}") from None
    written += [f"{MARK} {said}" for said in player.ends()]
    waiting = [name for name, queue in player.waiting.items() if queue]
    if waiting:
        raise ScenarioError(f"acts wait in {', '.join(waiting)} for a block that is never made")
    return "\n".join(written) + "\n"


def transcripts() -> list[Path]:
    """Every transcript beside this file."""
    return sorted(Path(__file__).parent.glob("*.txt"))
