"""What a line of a scenario may say, as acts of the protocol.

    # a comment
    network N1 charter=figure-4 [tokens.bucket=2 ...]      a network, by a charter that ships, with changes
    network N1 charter=pilot fit=yes [k=2]                 the same, fitted to the number of its voters
    members A,B: reporter voter; R: supervisor             its founders
    found                                                  block 0 of every network so far
    link N1 under N2, represented by R                     `motion.peer` on both sides, by the votes of all electors
    link X beside Y [, min_endorsers=1 ...]                the same between equals
    in N2                                                  the lines that follow happen there
    at 3h / at +30m                                        the clock; time 0 is 2026-03-02T08:00Z
    block                                                  make a block of what waits
    run to 3d                                              clock and blocks, one at each deadline on the way
    expect m recorded / expect A credits 3 / expect I(m) lead R

An act is `AUTHOR[,AUTHOR] VERB ... [as NAME] [refused REASON | dropped REASON]`; `;` joins the acts of one envelope.
The reason is what must happen; without it every act must be accepted. `I(m)` is the incident that report m opened,
`m@N2` what became of m in N2, `N1#3` what N1 sent under number 3. `quietly` before a line keeps what it makes out of
the transcript. Verbs are the methods of `Verbs`.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from tests.transcripts.world import (
    ROLES,
    START,
    Network,
    ScenarioError,
    quota_of,
    seed,
)
from tocsin.charters import load
from tocsin.client.signing import prove_possession, rotation
from tocsin.kernel import acts
from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import incident_id
from tocsin.kernel.incidents import features_digest
from tocsin.kernel.motions import entry_digest, keys_digest

UNIT_MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
DAY_MS = 86_400_000


class Said(NamedTuple):
    """One act: what it is, which kind of message it opens if any, and the key that must sign if not the act key."""

    act: acts.Act
    opens: str | None = None
    key: str = "act"


def length(text: str) -> int:
    """`3d4h30m` in ms."""
    if not re.fullmatch(r"(\d+(d|h|ms|m|s))+", text):
        raise ScenarioError(f"`{text}` is no length of time")
    return sum(int(number) * UNIT_MS[unit] for number, unit in re.findall(r"(\d+)(d|h|ms|m|s)", text))


def changed(charter: Charter, changes: dict[str, str]) -> Charter:
    """A charter with changes such as `tokens.bucket=2` or `motion.admit@none.threshold.at_least=3`."""
    plain = msgspec.to_builtins(charter)
    for path, value in changes.items():
        rule, _, rest = path.partition("@")
        place: Any = plain
        if rest:
            stage, _, path = rest.partition(".")
            place = next(one for one in plain["rules"] if (one["kind"], one["stage"]) == (rule, stage))
        *parts, last = path.split(".")
        for part in parts:
            place = place[part]
        if last not in place:
            raise ScenarioError(f"a charter has no `{path}`")
        try:
            place[last] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            place[last] = value
    return msgspec.convert(plain, Charter)


class Verbs:
    """Acts by the word that a script uses; each method takes the words and options after it."""

    def __init__(self, ids: dict[str, str], networks: dict[str, Network]) -> None:
        self.ids = ids
        """Name -> id, of messages and incidents."""
        self.networks = networks
        self.now = START
        self.network: Network = None  # type: ignore[assignment]

    # Words.

    def id(self, name: str) -> str:
        """The id behind a name: of a message, or of the incident that it opened."""
        if re.fullmatch(r"[0-9a-f]{64}", name):
            return name
        inner = re.fullmatch(r"I\((.+)\)", name)
        if inner:
            return self.ids.get(name) or incident_id(self.id(inner[1]))
        if name not in self.ids:
            raise ScenarioError(f"nothing is called `{name}`")
        return self.ids[name]

    def member(self, shown: str) -> str:
        found = [name for name, one in self.network.shown.items() if one == shown]
        if not found:
            raise ScenarioError(f"{self.network.name} has no member `{shown}`")
        return found[0]

    def time(self, text: str) -> int:
        return START + length(text)

    def day(self, text: str) -> int:
        """Days since the scenario's first day."""
        return START // DAY_MS + int(text)

    @staticmethod
    def digest(word: str | None) -> str | None:
        return None if word is None else seed("digest", word).hex()

    def parse(self, author: str, text: str) -> Said:
        """One act."""
        words = text.split()
        verb = words[0].replace("-", "_")
        method: Callable[..., Said] | None = getattr(self, "do_" + verb, None)
        if method is None:
            raise ScenarioError(f"`{words[0]}` is not a verb")
        options = dict(word.split("=", 1) for word in words[1:] if re.match(r"[a-z_.*@-]+=", word))
        rest = [word for word in words[1:] if not re.match(r"[a-z_.*@-]+=", word) and word not in ("on", "to", "->")]
        self.author = author
        try:
            return method(*rest, **options)
        except TypeError as error:
            raise ScenarioError(f"`{text}` has words that `{verb}` does not take: {error}") from error

    # Reports and ballots.

    def do_submit(
        self, kind: str, *rest: str, cat: str = "1D2Z", area: str = "TW-TNN", onset: str | None = None,
        detected: str | None = None, sev: str = "2", body: str | None = None,
    ) -> Said:  # fmt: skip
        """submit KIND [new | on I(m)] [exercise | test] [cat= area= onset= detected= sev= body=]"""
        words = list(rest)
        status: Any = next((one for one in words if one in ("exercise", "test")), "actual")
        named = [one for one in words if one != status]
        incident = None if not named else "new" if named[0] == "new" else self.id(named[0])
        today = self.now // DAY_MS
        subject = acts.Subject(
            cat if ":" in cat else f"icd11:{cat}",
            [one if ":" in one else f"iso3166-2:{one}" for one in area.split(",")],
            None if onset is None else self.day(onset), today if detected is None else self.day(detected), int(sev),
            status,
        )  # fmt: skip
        return Said(acts.Submit(kind, incident, subject, None, self.digest(body)), kind)

    def _judge(self, verdict: Any, message: str, code: str | None, by: Any, through: str | None) -> Said:
        day = None if through is None else self.day(through)
        return Said(acts.Judge(self.id(message), verdict, code, by, day, None))  # type: ignore[arg-type]

    def do_endorse(self, message: str, code: str | None = None, by: str = "officer",
                   through: str | None = None) -> Said:  # fmt: skip
        return self._judge("endorse", message, code, by, through)

    def do_reject(self, message: str, by: str = "officer", through: str | None = None) -> Said:
        return self._judge("reject", message, None, by, through)

    def do_abstain(self, message: str, code: str | None = None, by: str = "officer",
                   through: str | None = None) -> Said:  # fmt: skip
        return self._judge("abstain", message, code, by, through)

    def do_veto(self, message: str, code: str = "false-alarm", body: str | None = None) -> Said:
        return Said(acts.VetoAct(self.id(message), code, self.digest(body)))

    def do_concur(self, message: str) -> Said:
        return Said(acts.Concur(self.id(message)))

    def do_withdraw(self, message: str) -> Said:
        return Said(acts.Withdraw(self.id(message)))

    def do_say(self, note: Any, message: str, body: str | None = None) -> Said:
        """say update|correct|retract|recant|object M"""
        return Said(acts.Annotate(self.id(message), note, self.digest(body)))

    def do_present(self, day: str) -> Said:
        return Said(acts.Present(self.day(day)))

    def do_erase(self, message: str) -> Said:
        return Said(acts.Erase(self.id(message)))

    def do_erased_here(self, message: str) -> Said:
        return Said(acts.ErasedHere(self.id(message)))

    # Orders.

    def do_order(self, kind: str, incident: str, addressees: str, due: str = "", expires: str = "",
                 replaces: str | None = None) -> Said:  # fmt: skip
        """order KIND on I(m) to A,B due=2h expires=1d [replaces=o]"""
        to = [name if name.startswith("?") else self.member(name) for name in addressees.split(",")]
        terms = acts.Order(
            [name.lstrip("?") for name in to], self.time(due), self.time(expires),
            None if replaces is None else self.id(replaces),
        )  # fmt: skip
        return Said(acts.Submit(kind, self.id(incident), None, terms, None), kind)

    def do_revoke(self, order: str, incident: str) -> Said:
        terms = acts.Revoke(self.id(order))
        return Said(acts.Submit("order.revoke", self.id(incident), None, terms, None), "order.revoke")

    def do_answer(self, order: str, answer: Any, code: str | None = None) -> Said:
        """answer O received|done|cannot [CODE]"""
        return Said(acts.Acknowledge(self.id(order), answer, code))

    # Findings.

    def do_find(self, message: str, verdict: Any, evidence_class: Any, evidence: str | None = "seen") -> Said:
        """find M upheld|refuted|undetermined laboratory|field|statistical|none"""
        digest = None if evidence_class == "none" or evidence == "null" else self.digest(evidence)
        terms = acts.Finding(self.id(message), verdict, evidence_class, digest)
        return Said(acts.Submit("finding", None, None, terms, None), "finding")

    def do_review(self, message: str, verdict: Any, evidence_class: Any, of: str = "") -> Said:
        """review M VERDICT CLASS of=F"""
        digest = None if evidence_class == "none" else self.digest("seen again")
        terms = acts.Review(self.id(of), self.id(message), verdict, evidence_class, digest)
        return Said(acts.Submit("finding.review", None, None, terms, None), "finding.review")

    def do_share(self, message: str, peer: str, kind: str = "share.record") -> Said:
        """share M to Y"""
        origin = self.networks[peer].origin
        return Said(acts.Submit(kind, None, None, acts.Share(origin, self.id(message)), None), kind)

    # Motions.

    def _motion(self, kind: str, terms: acts.MotionTerms, incident: str | None = None) -> Said:
        kind = f"motion.{kind}"
        return Said(acts.Submit(kind, None if incident is None else self.id(incident), None, terms, None), kind)

    def do_stage(self, incident: str, base: str, to: str) -> Said:
        """stage I(m) watch -> response"""
        return self._motion("stage", acts.StageMotion(base, to), incident)

    def do_lead(self, incident: str, do: Any = "stand", base: str | None = None) -> Said:
        """lead I(m) [vacate] [base=A | base=vacant]; without a base the present lead"""
        row = self.network.incident(self.id(incident))
        present = None if row is None else row.lead
        lead = present if base is None else None if base == "vacant" else self.member(base)
        return self._motion("lead", acts.LeadMotion(do, lead), incident)

    def do_features(self, incident: str, cat: str = "1D2Z", area: str = "TW-TNN", sev: str = "2") -> Said:
        row = self.network.incident(self.id(incident))
        base = "0" * 64 if row is None else features_digest(row)
        areas = [f"iso3166-2:{one}" for one in area.split(",")]
        return self._motion("features", acts.FeaturesMotion(base, f"icd11:{cat}", int(sev), areas), incident)

    def do_close(self, incident: str, base: str = "watch", duplicate: str | None = None) -> Said:
        """close I(m) [STAGE] [duplicate=I(n)]"""
        other = None if duplicate is None else self.id(duplicate)
        return self._motion("close", acts.CloseMotion(base, other), incident)

    def _standing(self, member: str) -> acts.Standing:
        row = self.network.state.members.get(member)
        if row is None:
            return acts.Standing(["voter"], "active")
        return acts.Standing(row.roles, row.status)

    def do_admit(self, shown: str, *roles: Any, expires: str = "7d", entity: str | None = None, keys: str | None = None,
                 proofs: str = "good") -> Said:  # fmt: skip
        """admit E ROLES [expires= entity= keys=OTHER proofs=bad]: keys of its own, or those of another member"""
        name = shown.lower()
        self.network.shown.setdefault(name, shown)
        ring = self.network.keyring(name if keys is None else self.member(keys))
        until = self.now + length(expires)
        said = prove_possession(
            [ring.signer(role) for role in ROLES], self.network.genesis, name if proofs == "good" else "someone-else",
            ring.keys(), until,
        )  # fmt: skip
        entity = f"lei:{name.upper()}" if entity is None else entity
        terms = acts.AdmitMotion(name, entity, sorted(roles), ring.keys(), until, said)
        return self._motion("admit", terms)

    def do_suspend(self, shown: str, duration: str) -> Said:
        name = self.member(shown)
        return self._motion("suspend", acts.SuspendMotion(name, self._standing(name), length(duration) // 1000))

    def do_reinstate(self, shown: str) -> Said:
        name = self.member(shown)
        return self._motion("reinstate", acts.ReinstateMotion(name, self._standing(name)))

    def do_expel(self, shown: str) -> Said:
        name = self.member(shown)
        return self._motion("expel", acts.ExpelMotion(name, self._standing(name)))

    def do_roles(self, shown: str, *roles: Any) -> Said:
        name = self.member(shown)
        return self._motion("roles", acts.RolesMotion(name, self._standing(name), sorted(roles)))

    def do_rekey(self, shown: str) -> Said:
        """rekey B: all keys of its next generation"""
        name = self.member(shown)
        ring = self.network.keyring(name)
        turns = {role: turn + 1 for role, turn in ring.turn.items()}
        keys = ring.keys(turns)
        signers = [ring.at(role, turns[role]) for role in ROLES]
        until = self.now + 7 * DAY_MS
        proofs = prove_possession(signers, self.network.genesis, name, keys, until)
        base = keys_digest(self.network.state.members[name].keys)
        return self._motion("rekey", acts.RekeyMotion(name, base, keys, until, proofs))

    def do_peer(self, do: Any, other: str, *rest: str, relation: Any = None, by: str | None = None,
                **quota: str) -> Said:  # fmt: skip
        """peer add|repin|thaw|remove N2 [relation= by= min_endorsers= per_week= max_age_s=]"""
        peer, row = self.networks[other], self.network.state.peers.get(self.networks[other].origin)
        base = None if row is None else entry_digest(row.entry)
        entry = None
        if do in ("add", "repin"):
            relation = relation or (None if row is None else row.entry.relation)
            represented = None if by is None else self.member(by)
            if by is None and row is not None:
                represented = row.entry.represented_by
            terms = quota_of(self.network.state.charter, **{name: int(value) for name, value in quota.items()})
            entry = peer.entry(relation, represented, terms)
        return self._motion("peer", acts.PeerMotion(do, peer.origin, base, entry))

    def do_charter(self, *name: str, **changes: str) -> Said:
        """charter [NAME] [CHANGES]: another that ships, or the present one, with changes"""
        charter = load(name[0]) if name else self.network.state.charter
        charter = changed(charter, changes)
        return self._motion("charter", acts.CharterMotion(self.network.state.charter.digest, charter))

    def do_upgrade(self, protocol: str) -> Said:
        return self._motion("upgrade", acts.UpgradeMotion(self.network.state.charter.digest, int(protocol)))

    # Oneself, and other networks.

    def do_rotate(self, which: Any) -> Said:
        ring = self.network.keyring(self.author)
        signer = ring.at(which, ring.turn[which] + 1)
        return Said(rotation(signer, self.network.genesis, self.author, which), key="root")

    def do_leave(self) -> Said:
        return Said(acts.Leave())

    def do_join(self, height: str = "-0") -> Said:
        """join [height=-3]: of the newest block, or so many before it"""
        return Said(acts.Join(self.network.state.meta.height + int(height)))

    def do_ready(self, protocol: str) -> Said:
        return Said(acts.Ready(int(protocol)))

    def do_seal(self, *rest: str, lines: str | None = None) -> Said:
        """seal [lines=1] [newest]: the last change of the roster that is not sealed, or the log as it stands now"""
        network = self.network
        waiting = [one for one in network.steps if str(one.index) in network.state.handovers]
        step = (waiting or network.steps)[-1]
        if "newest" in rest:
            return Said(acts.Seal(network.checkpoint(self.now)))
        said = network.checkpoint(self.now, step.before, step.size, None if lines is None else int(lines))
        return Said(acts.Seal(said))

    def do_relay(self, other: str, *rest: str, only: str | None = None, skip: str = "0", lines: str | None = None,
                 size: str | None = None) -> Said:  # fmt: skip
        """relay N1 [only=2] [skip=1] [lines=1] [size=9] [stay] [forged]"""
        if not {*rest} <= {"stay", "forged"}:
            raise ScenarioError(f"a relay is not {' '.join(rest)}")
        source = self.networks[other]
        act = source.relay_to(
            self.network, self.now, None if only is None else int(only), int(skip),
            None if lines is None else int(lines), None if size is None else int(size), "stay" in rest,
        )  # fmt: skip
        if "forged" in rest:
            first = act.leaves[0]
            act = replace(act, leaves=[replace(first, leaf=first.leaf.replace('"severity":2', '"severity":4'))])
        return Said(act)

    def do_evidence(self, other: str, *rest: str, size: str | None = None, lines: str | None = None,
                    root: str = "another history") -> Said:  # fmt: skip
        """evidence N1 [size=9] [lines=1] [same | fork | grown | old]: two checkpoints of one size of N1 with different
        roots, or the second of a log that forked before that size, or of the true one, with a proof that fails; signed
        by the members that sign, or by those of the first roster with the keys of then"""
        source = self.networks[other]
        at = len(source.log) if size is None else int(size)
        said = None if lines is None else int(lines)
        members = source.steps[0].before if "old" in rest else None
        first = source.checkpoint(self.now, members, size=at, lines=said)
        if "fork" in rest or "grown" in rest:
            fork = source.forked(at)
            later = fork if "fork" in rest else source
            second = later.checkpoint(self.now, lines=said)
            proof = fork.consistency(at, len(fork.log))
            return Said(acts.Evidence(source.origin, first, second, fork.root(at).hex(), proof))
        second = first if "same" in rest else source.checkpoint(
            self.now, members, size=at, lines=said, root=seed(other, root)
        )
        return Said(acts.Evidence(source.origin, first, second, None, []))
