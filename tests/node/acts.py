"""Everything a member can sign, by command: the life of an incident, of a roster and of what is known of other networks."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.node.net import command, until
from tocsin.cli.acting import state
from tocsin.node.home import config as configs

DIGEST = "0123456789abcdef" * 4


class Play:
    """A network that runs, with three who report and vote, and a supervisor; `home`: each one's node."""

    def __init__(self, origin: str, home: dict[str, Path], voters: Sequence[str], supervisor: str) -> None:
        self.origin = origin
        self.home = home
        self.one, self.two, self.three = voters
        self.supervisor = supervisor

    def do(self, who: str, verb: str, action: str, *words: object, code: int = 0) -> Any:
        """What a command answers, or says where it must fail."""
        told = ["--json"] if code == 0 else []
        text = command(verb, action, self.home[who], *words, "--network", self.origin, *told, code=code)
        return json.loads(text) if code == 0 else text

    def act(self, who: str, action: str, *words: object) -> Any:
        return self.do(who, "act", action, *words)

    def move(self, action: str, *words: object, voters: Sequence[str] | None = None) -> str:
        """A motion of the first member that the others endorse; its message."""
        message = str(self.do(self.one, "motion", action, *words)["message"])
        for who in (self.two, self.three, self.supervisor) if voters is None else voters:
            self.act(who, "judge", message, "endorse")
        return message

    def rows(self, table: str) -> dict[str, Any]:
        """A table of the state, as the first member's node has it."""
        return state(configs.load(self.home[self.one]), self.origin, table).tables[table]

    def report(self, *words: object) -> str:
        subject = ("--category", "icd11:1D2Z", "--area", "iso3166-2:TW-TNN", "--severity", "2")
        return str(self.act(self.one, "report", "report.cluster.dengue", *subject, *words)["message"])

    def record(self, *words: object) -> str:
        """A report that all endorse and the supervisor lets pass."""
        message = self.report(*words)
        for who in (self.two, self.three):
            self.act(who, "judge", message, "endorse", "--data-through", "2026-01-02", "--evidence", DIGEST)
        self.act(self.supervisor, "concur", message)
        until(lambda: message not in self.rows("message"))
        return message

    def incident(self) -> str:
        """An incident from its report to an order and its answers; the record's id."""
        before = set(self.rows("incident"))
        record = self.record("--incident", "new", "--onset", "2026-01-01", "--detected", "2026-01-02", "--body", DIGEST)
        (id,) = set(self.rows("incident")) - before
        self.act(self.one, "annotate", record, "update", "--body", DIGEST)
        self.act(self.supervisor, "annotate", record, "object", "--body", DIGEST)
        others = (self.two, self.three)
        self.move("features", id[:12], "--severity", 3, voters=others)
        until(lambda: self.rows("incident")[id].severity == 3)
        self.move("lead", id[:12], voters=others)
        until(lambda: self.rows("incident")[id].lead == self.one)
        for stage in ("alert", "response"):
            self.move("stage", id[:12], stage, voters=others)
            until(lambda stage=stage: self.rows("incident")[id].stage == stage)  # type: ignore[misc]
        order = self.act(self.one, "order", "order.vector-control", id[:12], "--to", self.two, "--to", self.three,
                         "--due", 24, "--expires", 72)["message"]  # fmt: skip
        self.act(self.two, "acknowledge", order, "received")
        self.act(self.two, "acknowledge", order, "done")
        self.act(self.three, "acknowledge", order, "cannot", "--code", "no-staff")
        again = self.act(self.one, "order", "order.vector-control", id[:12], "--to", self.two, "--due", 24,
                         "--expires", 72, "--replaces", order)["message"]  # fmt: skip
        self.act(self.one, "revoke", again[:12])
        until(lambda: self.rows("order") == {})
        return record

    def messages(self, record: str) -> None:
        """What becomes of messages, and of what was said of them."""
        proof = ("--evidence", DIGEST, "--evidence-class")
        finding = self.act(self.supervisor, "finding", record, "upheld", *proof, "laboratory")["message"]
        # All three stood behind it, so nobody is left to judge a review; but the kernel got it.
        review = (record, "refuted", *proof, "field", "--finding", finding)
        assert "Too few members could vote" in self.do(self.supervisor, "act", "review", *review, code=2)
        withdrawn = self.report("--status", "exercise")
        self.act(self.one, "withdraw", withdrawn[:12])
        vetoed = self.report("--status", "test")
        self.act(self.supervisor, "veto", vetoed, "--code", "data-error", "--body", DIGEST)
        lapsed = self.report("--status", "test")
        self.act(self.two, "judge", lapsed, "abstain", "--code", "no-patients")
        until(lambda: not {withdrawn, vetoed, lapsed} & set(self.rows("message")))
        self.act(self.one, "erase", record)
        self.act(self.two, "erased-here", record)
        self.act(self.three, "present", "--through", "2026-01-03")
        assert "begin with ffffffffffff" in self.do(self.one, "act", "withdraw", "ffffffffffff", code=2)
        assert "no live incident" in self.do(self.one, "motion", "stage", DIGEST, "alert", code=2)
        assert "No order" in self.do(self.one, "act", "revoke", DIGEST, code=2)

    def closing(self) -> None:
        """The lead goes, another one comes, and the incident is closed."""
        (id,) = self.rows("incident")
        lead = self.do(self.two, "motion", "lead", id, "--vacate")["message"]
        self.act(self.three, "judge", lead, "endorse")
        until(lambda: self.rows("incident")[id].lead is None)
        self.move("close", id[:12], voters=(self.two, self.three))
        until(lambda: all(one.closed is not None for one in self.rows("incident").values()))

    def roster(self) -> None:
        """A member is suspended, comes back, gets other roles, leaves and is taken back."""
        others = (self.two, self.supervisor)
        for words, holds in (
            (("suspend", self.three, "--days", 3), lambda member: member.status == "suspended"),
            (("reinstate", self.three), lambda member: member.status == "active"),
            (("roles", self.three, "--role", "voter", "--role", "reporter"), lambda member: "relay" not in member.roles),
        ):
            self.move(*words, voters=others)
            until(lambda holds=holds: holds(self.rows("member")[self.three]))  # type: ignore[misc]
        assert "--yes" in self.do(self.three, "act", "leave", code=2)
        self.act(self.three, "leave", "--yes")
        until(lambda: self.rows("member")[self.three].status == "left")
        self.move("reinstate", self.three, voters=others)
        until(lambda: self.rows("member")[self.three].status == "active")
        assert "There is no member nobody" in self.do(self.one, "motion", "expel", "nobody", code=2)

    def networks(self, record: str, genesis: Path, origin: str, charter: Path) -> None:
        """Another network is known and forgotten, and the rules change."""
        others = (self.two, self.supervisor)
        assert "--relation" in self.do(self.one, "motion", "peer", "add", origin, "--genesis", genesis, code=2)
        wrong = ("peer", "add", "x.example/other", "--genesis", genesis, "--relation", "peer")
        assert f"is of {origin}" in self.do(self.one, "motion", *wrong, code=2)
        self.move("peer", "add", origin, "--genesis", genesis, "--relation", "peer", "--per-week", 20, voters=others)
        until(lambda: self.rows("peer")[origin].entry.quota.per_week == 20)
        self.act(self.one, "share", "share.report", origin, record)
        assert "no entry" in self.do(self.one, "motion", "peer", "repin", origin, "--entry", genesis, code=2)
        self.move("peer", "remove", origin, voters=others)
        until(lambda: self.rows("peer")[origin].state == "removed")
        before = self.rows("meta")[""].charter
        self.move("charter", charter, voters=others)
        until(lambda: self.rows("meta")[""].charter != before)
