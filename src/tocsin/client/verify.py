"""Check a dossier offline, line by line (spec 10): nothing in it is believed that does not follow from the policy.

What is checked, in this order; the first failure ends it:

1. the file is canonical, of allowed size, and of the network that the policy trusts;
2. every leaf is in the log of the checkpoint, and the log begins with the policy's genesis;
3. the log extends the pinned checkpoint; rosters were handed over from the policy's to the present one;
4. the checkpoint has the log's signature and those of a finality quorum;
5. the record followed its charter's rule; its opening, submission and source agree with it;
6. electorate, size and need follow from the roster; every ballot is signed; the tally gives the outcome;
7. annotations, findings and settlements since;
8. disclosed fields of bodies;
9. nothing in the file was left unchecked.
"""

import msgspec

from tocsin.client.aftermath import Aftermath
from tocsin.client.certificate import (
    Case,
    check_ballots,
    check_electorate,
    check_outcome,
    check_submission,
    open_case,
)
from tocsin.client.dossier import MAX_DOSSIER, Dossier, decode_dossier
from tocsin.client.origins import check_origin
from tocsin.client.policy import Policy
from tocsin.client.proven import Proven, prove
from tocsin.client.report import Line, Refused, Report, require, short, when
from tocsin.client.signed import Acts
from tocsin.kernel import body
from tocsin.kernel.acts import VetoAct
from tocsin.kernel.leaves import Annotated

__all__ = ["MAX_DOSSIER", "verify"]

MAX_SHOWN = 300
"""Characters of a disclosed field that a line repeats."""


def verify(data: bytes, policy: Policy) -> Report:
    """Check a dossier against a policy that came another way. Total: whatever is wrong is the last line."""
    lines: list[Line] = []
    try:
        _verify(data, policy, lines)
    except (Refused, ValueError, OverflowError) as error:
        # Values that no honest log holds (a path that is no hex, a negative number) surface as plain ValueErrors.
        lines.append(Line(False, str(error)))
    return Report([Line(line.ok, _printable(line.text)) for line in lines], all(line.ok for line in lines))


def _verify(data: bytes, policy: Policy, lines: list[Line]) -> None:
    dossier = decode_dossier(data)
    lines.append(
        Line(True, f"The file is a canonical dossier of {len(data)} bytes about message {short(dossier.message)}.")
    )
    proven = prove(dossier, policy, lines)
    acts = Acts(dossier)
    case = open_case(policy, proven, acts, dossier.message, lines)
    check_origin(case)
    if case.record.source is None:
        check_submission(case)
    check_electorate(case)
    check_ballots(case)
    check_outcome(case)
    Aftermath(case).check()
    _bodies(dossier, case)
    proven.require_all_used()
    acts.require_all_used()
    lines.append(Line(True, f"{len(acts)} signed acts recomputed, each with its place in its envelope."))
    _close(proven, lines)


def _bodies(dossier: Dossier, case: Case) -> None:
    known = {case.record.body: "the record"}
    for leaf in case.proven.leaves.values():
        if isinstance(leaf, Annotated):
            known[leaf.body] = f"the annotation of {leaf.by}"
    for act, signed in case.acts.find(VetoAct, case.record.by or ""):
        known[act.body] = f"the veto of {signed.header.author}"
    digests = [one.digest for one in dossier.bodies]
    require(digests == sorted(set(digests)), "The disclosed bodies are not sorted by digest, or one stands twice.")
    for shown in dossier.bodies:
        require(shown.digest in known, f"The body {short(shown.digest)} belongs to nothing in this record.")
        for name, value in body.verify(shown):
            text = "absent" if value is None else msgspec.json.encode(value).decode()
            text = text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."
            case.say(f"Disclosed of {known[shown.digest]}: {name} = {text}")


def _close(proven: Proven, lines: list[Line]) -> None:
    final, head = proven.final, proven.head
    held = sum(1 for one in final.signers if one.custody == "self")
    lines.append(Line(True, f"{len(final.signers)} of {final.n}, {held} self-held."))
    lines.append(
        Line(
            True,
            f"As of height {head.height} and {when(head.at)}; later findings unknown. Who made this file chose what it "
            "shows; that nothing was left out, a file cannot prove.",
        )
    )


def _printable(text: str) -> str:
    """Without anything that could move the cursor or turn the reading direction of a terminal."""
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)
