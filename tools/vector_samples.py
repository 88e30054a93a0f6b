"""One sample of every act and of all terms, with published keys: what the test vectors are made of."""

from hashlib import sha256

from nacl.bindings import crypto_sign, crypto_sign_seed_keypair

from tocsin.kernel import acts
from tocsin.kernel.acts import Act, Keys, Subject
from tocsin.kernel.charter import (
    Charter,
    Codes,
    Edge,
    IncidentKey,
    KindUse,
    Limits,
    Quota,
    Reward,
    Rule,
    Scheme,
    Stages,
    Stains,
    Threshold,
    Times,
    Tokens,
    Veto,
)

T = 1_431_648_000_000
"""2015-05-15T00:00Z in ms."""
DAY = T // 86_400_000
HOUR = 3600


def seed(name: str) -> bytes:
    """The published seed of a sample key."""
    return sha256(b"tocsin test vector key " + name.encode()).digest()


def public(name: str) -> str:
    """Its public key in hex."""
    return crypto_sign_seed_keypair(seed(name))[0].hex()


def sign(name: str, message: bytes) -> bytes:
    """Its 64-byte signature."""
    return crypto_sign(message, crypto_sign_seed_keypair(seed(name))[1])[:64]


def some(name: str) -> str:
    """A digest that stands for something not shown."""
    return sha256(b"tocsin test vector " + name.encode()).hexdigest()


def keys(member: str, validator: bool = False) -> Keys:
    """The keys of a sample member."""
    return Keys(
        public(f"{member} root"),
        public(f"{member} act"),
        public(f"{member} finality"),
        public(f"{member} validator") if validator else None,
        "self",
    )


def _rule(kind: str, stage: str, model: str, issuers: list[str], **given: object) -> Rule:
    values: dict[str, object] = {
        "electorate": [], "threshold": None, "window_s": 0, "notice_s": 0, "veto": None, "escalate": False,
        "signal": False, "opens_incident": False, "reward": None,
    }  # fmt: skip
    values.update(given)
    return Rule(kind=kind, stage=stage, model=model, issuers=issuers, **values)  # type: ignore[arg-type]


HALF = Threshold(1, 2, True, 2)
CHARTER = Charter(
    name="sample",
    rules=[
        _rule("report.*", "*", "supervise", ["reporter"], electorate=["voter"], threshold=HALF, window_s=24 * HOUR,
              veto=Veto(["supervisor"], HOUR), escalate=True, opens_incident=True, reward="report"),
        _rule("report.*", "response", "vote", ["reporter"], electorate=["voter"], threshold=HALF, window_s=24 * HOUR,
              escalate=True, opens_incident=True, reward="report"),
        _rule("report.cluster.*", "*", "vote", ["reporter"], electorate=["voter"], threshold=Threshold(0, 1, False, 2),
              window_s=168 * HOUR, escalate=True, signal=True, opens_incident=True, reward="report"),
        _rule("report.cluster.dengue", "*", "broadcast", ["reporter"], opens_incident=True),
        _rule("order.*", "response", "broadcast", ["lead"]),
        _rule("finding", "*", "broadcast", ["auditor", "supervisor"]),
    ],
    stages=Stages(["watch", "alert", "response"], [Edge("watch", "alert"), Edge("watch", "response")], ["watch"]),
    kinds=[KindUse("icd11:1D2Z", ["report.cluster.*"])],
    incident_key=IncidentKey(True, False, False),
    codes=Codes(["false-alarm"], ["no-staff"]),
    schemes=[Scheme("area", "iso3166-2", 0), Scheme("category", "icd11", 4)],
    rewards=[Reward("report", 3, 1)],
    stains=Stains(True, 72 * HOUR),
    tokens=Tokens(4, 168 * HOUR, 2),
    limits=Limits(64, 1000, 28, 16, 4),
    dormant=None,
    times=Times(900, 60 * 24 * HOUR, 30 * 24 * HOUR, 30 * 24 * HOUR, 168 * HOUR, 24 * HOUR, 168 * HOUR),
    peers=Quota(20, 2, 168 * HOUR),
    calibration=None,
)  # fmt: skip

_STANDING = acts.Standing(["reporter", "voter"], "active")
_ROSTER = [acts.PinnedMember("health", "tw:cdc", public("peer finality"), "self", True)]
_ENTRY = acts.PeerEntry(
    some("peer genesis"), "parent", public("peer log"), 1, _ROSTER, 3, some("root"), "clinic-a",
    acts.PeerTerms(20, 2, 168 * HOUR),
)  # fmt: skip
_LEAF = acts.RelayedLeaf(1, '{"leaf":"sample"}', ["WX/LMSgtNGVMIA00GPylcFxkjr8ybsc9jd7xGEH4dtg="])
_SIGNATURE = sign("clinic-b act", b"a statement").hex()
_NOTE = "health.example/tw\n3\nNmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=\n\n— health.example/tw /WNtGg==\n"

SUBJECT = Subject("icd11:1D2Z", ["iso3166-2:TW-TNN"], DAY - 3, DAY, 2, "actual")

TERMS: dict[str, tuple[str, acts.Terms]] = {
    "share": ("share.record", acts.Share("health.example/tw", some("record"))),
    "stage": ("motion.stage", acts.StageMotion("watch", "alert")),
    "lead": ("motion.lead", acts.LeadMotion("stand", None)),
    "features": ("motion.features", acts.FeaturesMotion(some("features"), "icd11:1D2Z", 3, ["iso3166-2:TW-TNN"])),
    "close": ("motion.close", acts.CloseMotion("watch", None)),
    "admit": ("motion.admit", acts.AdmitMotion("clinic-c", "tw:c", ["reporter", "voter"], keys("clinic-c"),
                                               T + 86_400_000, [_SIGNATURE] * 3)),
    "suspend": ("motion.suspend", acts.SuspendMotion("clinic-b", _STANDING, 30 * 24 * HOUR)),
    "reinstate": ("motion.reinstate", acts.ReinstateMotion("clinic-b", _STANDING)),
    "expel": ("motion.expel", acts.ExpelMotion("clinic-b", _STANDING)),
    "roles": ("motion.roles", acts.RolesMotion("clinic-b", _STANDING, ["auditor"])),
    "rekey": ("motion.rekey", acts.RekeyMotion("clinic-b", some("keys"), keys("clinic-b new", True), T + 86_400_000,
                                               [_SIGNATURE] * 4)),
    "peer": ("motion.peer", acts.PeerMotion("add", "health.example/tw", None, _ENTRY)),
    "charter": ("motion.charter", acts.CharterMotion(some("charter"), CHARTER)),
    "upgrade": ("motion.upgrade", acts.UpgradeMotion(some("charter"), 2)),
    "order": ("order.isolate", acts.Order(["clinic-a", "clinic-b"], T + 3_600_000, T + 7_200_000, None)),
    "revoke": ("order.revoke", acts.Revoke(some("order"))),
    "finding": ("finding", acts.Finding(some("record"), "upheld", "laboratory", some("evidence"))),
    "review": ("finding.review", acts.Review(some("finding"), some("record"), "undetermined", "none", None)),
}  # fmt: skip
_OF_AN_INCIDENT = ("stage", "lead", "features", "close", "order", "revoke")

ACTS: dict[str, Act] = {
    "submit a report": acts.Submit("report.cluster.dengue", "new", SUBJECT, None, some("body")),
    "judge": acts.Judge(some("message"), "endorse", None, "judge", DAY - 1, some("evidence")),
    "judge, abstaining": acts.Judge(some("message"), "abstain", "no-patients", "officer", None, None),
    "veto": acts.VetoAct(some("message"), "false-alarm", some("body")),
    "concur": acts.Concur(some("message")),
    "withdraw": acts.Withdraw(some("message")),
    "annotate": acts.Annotate(some("message"), "correct", some("body")),
    "acknowledge": acts.Acknowledge(some("order"), "cannot", "no-staff"),
    "present": acts.Present(DAY),
    "relay": acts.RelayAct("health.example/tw", _NOTE, [], None, [_LEAF]),
    "rotate": acts.Rotate("act", public("clinic-a act 2"), _SIGNATURE),
    "leave": acts.Leave(),
    "join": acts.Join(7),
    "ready": acts.Ready(2),
    "seal": acts.Seal(_NOTE),
    "evidence": acts.Evidence("health.example/tw", _NOTE, _NOTE, None, []),
    "erase": acts.Erase(some("message")),
    "erased-here": acts.ErasedHere(some("message")),
}
ACTS |= {
    f"submit terms {name}": acts.Submit(
        kind, some("incident") if name in _OF_AN_INCIDENT else None, None, terms, None
    )
    for name, (kind, terms) in TERMS.items()
}  # fmt: skip
