"""The life cycles as tables (spec 7, spec 8); the diagrams in `spec/` are generated from them."""

MESSAGE = {
    "open": ("endorsed", "recorded", "rejected", "vetoed", "lapsed", "withdrawn", "void"),
    "endorsed": ("recorded", "vetoed", "void"),
}
"""From a state of a message to those it can reach; all others are final."""

FINAL = ("recorded", "rejected", "vetoed", "lapsed", "withdrawn", "void")

TRUTH = {
    "none": ("upheld", "refuted", "undetermined"),
    "undetermined": ("upheld", "refuted", "undetermined"),
    "upheld": ("refuted", "undetermined", "upheld"),
    "refuted": ("upheld", "undetermined", "refuted"),
}
"""From a truth to those that a finding, or from the last two a review, can set (spec 9)."""

MEMBER = {
    "active": ("suspended", "left", "expelled"),
    "suspended": ("active", "left", "expelled"),
    "left": ("active",),
    "expelled": ("active",),
}
"""From a member's status to those that motions, `leave` or time can set (spec 8)."""

PEER = {"active": ("frozen", "removed"), "frozen": ("active", "removed"), "removed": ("active",)}


def certainty(state: str, truth: str, evidence_class: str | None) -> str:
    """What every page shows of a report, derived and never stored (spec 7)."""
    if truth == "refuted":
        return "discarded"
    if state == "recorded":
        confirmed = truth == "upheld" and evidence_class in ("laboratory", "field")
        return "confirmed" if confirmed else "jointly suspected"
    return "signal" if state in ("open", "endorsed") else "not recorded"
