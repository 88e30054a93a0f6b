"""A second reading of the law: the rules of one network, written to be obviously right and slow.

Written from the design and `spec/` alone, apart from the kernel's transitions; it shares with it only
the schemas, the digests and the numbers of the reasons. The whole history stays in memory, and every
question is answered by a scan: no index, no heap of deadlines, no overlay. Signatures and the proofs
of relays are given as verdicts. `beside.Pair` runs it next to the kernel; `python -m tests.oracle 0 500`
looks for differences in as many seeded histories.

A receipt is compared by acceptance; where it is refused, the oracle lists every reason that applies,
and the kernel's must be one of them. Leaves are compared in order, by the fields the oracle states.

Choices, where the law leaves something open:

1. A day lies in the future if it comes after the day that follows T's UTC day (local days run ahead).
2. An envelope signed by the root key that holds anything but `rotate` is not admitted (209); a `rotate`
   signed by the act key is a refused act.
3. A bucket (envelopes, tokens) is counted lazily, by the charter in force when it is next touched, and
   never holds more than its size.
4. Broadcasts are recorded in step 3 like everything else; until then they are open but count for no cap.
5. The source in an incident's key is the peer that sent the report; for the members' own it is nothing.
6. A report that closes nothing and joins nothing opens an incident only if its rule says so.
7. The sitting lead at opening is not among the eligible; a holder of the veto's role is never an elector.
8. A finding or review has the stage and lead of the incident of its target, the end of its redirects if
   that is live: the one joined for a record, the one taken at opening for what was not recorded.
9. Update and correct may be said again; retract, recant and object once by each member on a message.
10. `done` or `cannot` without `received` before counts as received at that time.
11. A complete order still runs until it expires, is replaced or revoked; a lead may replace or revoke
    only orders of its own incident.
12. A relayed order addresses the members active in the next version; one that comes after its expiry
    does not run. A revocation goes where the order went.
13. A sitting lead may stand again. A motion that would change nothing is refused only where the roles
    or the charter stay the same, and for members whom it cannot concern.
14. A repinned peer stays frozen; `thaw` and `remove` bring no entry. A representative is a member that
    is active or suspended. Only children's representatives bear on `relayed.report.*` rules (F23).
15. Evidence freezes the peer at once: relays later in its block are refused. One `peer` leaf a block.
16. Numbers between two networks go on after a peer is removed and added again, since ids of relayed
    messages are made of them.
17. What waits for an outcome is numbered like messages when it goes out; `overdue` deadlines go by it.
18. Outcome and receipts make a record here and are told to nobody. A finding or annotation goes back also to
    who sent the report, share or order, once that is final here. A note makes no `finding` leaf.
19. Dedupe is for reports, shares and orders; a signal is none of them.
20. Credit and stain of a peer's author go to who represents it when the finding is settled.
21. Supervisors, and the author, may ask for erasure; any member may attest it.
22. Any record may be shared, but not a finding, whose only leaf is `finding`.
23. Expiry of proofs of possession is checked at submit only.
"""

from tests.oracle.oracle import Oracle, OracleOutcome

__all__ = ["Oracle", "OracleOutcome"]
