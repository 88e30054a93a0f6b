"""Incidents: joining, stage, lead, features, closing (spec 8)."""

from tocsin.kernel.charter import Charter
from tocsin.kernel.digest import digest, incident_id
from tocsin.kernel.draft import Draft
from tocsin.kernel.envelope import encode
from tocsin.kernel.leaves import IncidentLeaf, Source
from tocsin.kernel.rows import OLD_INCIDENT, Incident, Message
from tocsin.kernel.words import Status


def key_of(charter: Charter, category: str, areas: list[str], source: Source | None) -> str:
    """What reports join by: category, areas, source, as the charter chooses (spec 8)."""
    law = charter.incident_key
    return "|".join(
        (
            category if law.category else "",
            ",".join(areas) if law.areas else "",
            source.path[-1] if law.source and source is not None else "",
        )
    )


def features_digest(incident: Incident) -> str:
    """What `motion.features` carries as its base: category, severity and sorted areas (spec 8)."""
    return digest(b"features", encode([incident.category, incident.severity, sorted(incident.areas)]))


def oldest_live(draft: Draft, status: Status, key: str) -> str | None:
    """The oldest live incident of this status and key, or None (spec 8)."""
    for _, name in draft.state.live_incidents.get((status, key), ()):
        if draft.incident(name) is not None:
            return name
    # Whatever was opened in this block is younger.
    return next((name for name in draft.opened.get((status, key), ()) if draft.incident(name) is not None), None)


def destination(draft: Draft, message: Message) -> Incident | None:
    """The live incident that a report joins now, or None for a new one (spec 8, spec F11)."""
    if message.subject is None:
        return None
    if message.incident == "new":
        return None
    if message.incident is not None:
        named = draft.incident_end(message.incident)
        if named is not None and named.closed is None and named.status == message.status:
            return named
    key = key_of(draft.charter, message.subject.category, message.subject.areas, message.source)
    return draft.incident(oldest_live(draft, message.status, key))


def join(draft: Draft, message: Message) -> None:
    """Effect of a recorded report: it joins its incident, or opens one."""
    name = message.incident
    if name is None or message.subject is None:
        return
    if draft.incident(name) is None:
        subject = message.subject
        incident = Incident(
            id=name, number=draft.number(), status=message.status,
            key=key_of(draft.charter, subject.category, subject.areas, message.source), opened=draft.at,
            stage=draft.charter.stages.names[0], category=subject.category, severity=subject.severity,
            areas=list(subject.areas), lead=None, lead_until=None, term=0, last_record=draft.at, closed=None,
            duplicate_of=None, up=None,
        )  # fmt: skip
        draft.put("incident", name, incident)
        draft.opened.setdefault((incident.status, incident.key), []).append(name)
        write(draft, incident, "opened", message.id)
    heard(draft, name)


def choose(draft: Draft, message: Message) -> str | None:
    """Id of the incident a report being recorded joins; a new one where its rule opens incidents."""
    live = destination(draft, message)
    if live is not None:
        return live.id
    return incident_id(message.id) if draft.rule(message).opens_incident else None


def heard(draft: Draft, name: str | None) -> None:
    """A recorded leaf that joins or names an incident restarts its quiet time (spec F14)."""
    if draft.incident(name) is not None and name is not None:
        row: Incident = draft.edit("incident", name)
        row.last_record = draft.at
        draft.created("incident", row)


def set_lead(draft: Draft, name: str, lead: str | None, cause: str | None) -> None:
    """A term begins or ends; the leaf says so (spec 8)."""
    row: Incident = draft.edit("incident", name)
    row.lead = lead
    row.lead_until = None if lead is None else draft.at + draft.charter.times.lead_s * 1000
    row.term = 0 if lead is None else draft.number()
    write(draft, row, "lead", cause)
    draft.created("incident", row)


def close(draft: Draft, name: str, duplicate_of: str | None, cause: str | None) -> None:
    """Close for ever; the lead falls vacant without a leaf of its own (spec F13)."""
    row: Incident = draft.edit("incident", name)
    row.closed, row.duplicate_of = draft.at, duplicate_of
    row.lead, row.lead_until, row.term = None, None, 0
    draft.drop("incident", name)
    draft.archive[OLD_INCIDENT + name] = row
    write(draft, row, "closed", cause)


def vacate_for(draft: Draft, member: str) -> None:
    """Leads fall vacant when their holder is no longer active (spec F13)."""
    held = [row for name in draft.names("incident") if (row := draft.incident(name)) is not None and row.lead == member]
    for row in sorted(held, key=lambda row: row.number):
        set_lead(draft, row.id, None, None)


def write(draft: Draft, row: Incident, change: str, cause: str | None) -> None:
    """The `incident` leaf."""
    draft.leaf(
        IncidentLeaf(
            row.id, draft.at, change, row.status, row.stage, row.lead, row.lead_until, row.category,  # type: ignore[arg-type]
            row.severity, row.areas, row.duplicate_of, cause,
        )
    )  # fmt: skip
