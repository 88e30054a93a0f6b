"""What happens in the networks of these tests, and short ways to say it."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from tests.client.world import HOUR, PEOPLE, World, judge, report, signer
from tocsin import charters
from tocsin.client import signing
from tocsin.kernel.acts import (
    Acknowledge,
    Annotate,
    Concur,
    Finding,
    LeadMotion,
    Order,
    Review,
    StageMotion,
    Submit,
    VetoAct,
    Withdraw,
)  # fmt: skip
from tocsin.kernel.envelope import Envelope, decode
from tocsin.kernel.leaves import Final, FindingLeaf

EVIDENCE = "ab" * 32


def texts(world: World, message: str, **options: Any) -> str:
    result = world.verify(message, **options)
    assert result.ok, [line.text for line in result.lines]
    return "\n".join(line.text for line in result.lines)


def motion(kind: str, terms: Any, incident: str | None = None) -> Submit:
    return Submit(f"motion.{kind}", incident, None, terms, None)


def finding(target: str, verdict: Any = "upheld", evidence: Any = "laboratory") -> Submit:
    return Submit("finding", None, None, Finding(target, verdict, evidence, EVIDENCE), None)


def incident_of(world: World, message: str) -> str:
    leaf = next(one for one in world.decoded if isinstance(one, Final) and one.id == message)
    assert leaf.incident is not None
    return leaf.incident


def with_auditors() -> World:
    charter = charters.for_network("pilot", 5, 1, k=2)[0]
    charter = replace(charter, kinds=[], stains=replace(charter.stains, refuted=True))
    people = PEOPLE | {"audit-a": ["auditor"], "audit-b": ["auditor"], "gangshan": ["reporter", "voter"]}
    return World(people=people, charter=charter)


def rotated(world: World, member: str, role: Any = "act", generation: str = "2") -> None:
    new = signer(world.origin, member, role + generation)
    act = signing.rotation(new, world.genesis.digest, member, role)
    data = world.envelope_of(member, [act], key=signer(world.origin, member, "root"))
    world.at += 1000

    read = decode(data)
    assert isinstance(read, Envelope)
    outcome = world.apply([read])
    assert outcome.receipts == [[0]]
    if role == "act":
        world.acting[member] = new
    else:
        world.finality[member] = new


def history_of_epochs() -> tuple[World, list[str]]:
    """Epochs 1 to 4, with a record in each, and one whose ballots lie in two."""
    world = World()
    made = [world.recorded()]
    rotated(world, "beimen")
    made.append(world.recorded())
    across = world.submit("annan", report())
    world.block(("cigu", judge(across)))
    rotated(world, "danei")
    world.block(("danei", judge(across)))
    world.block(later=HOUR)
    rotated(world, "annan", "finality")
    made += [across, world.recorded("cigu")]
    return world, made


def two_levels_made() -> tuple[World, World, str, str]:
    charter = charters.load("paper")
    county = World(people=PEOPLE | {"bureau": ["relay"]}, charter=charter)
    nation = World("health.example/tw", {"kaohsiung": ["relay", "voter"], "tainan": ["relay", "voter"],
                                         "taipei": ["relay", "voter"], "centre": ["supervisor"]}, charter)  # fmt: skip
    nation.at = county.at
    county.befriend(nation, "parent", None, ["annan", "beimen", "cigu", "danei"])
    nation.befriend(county, "child", "tainan", ["kaohsiung", "tainan", "taipei", "centre"])
    below = county.recorded()
    nation.at = county.at
    county.relay_to(nation, "taipei")
    above = next(iter(nation.state.messages))
    nation.block(("kaohsiung", judge(above)), ("taipei", judge(above)))
    nation.block(later=HOUR)
    nation.block(("centre", finding(above)))
    county.at = nation.at
    nation.relay_to(county, "bureau")
    return county, nation, below, above


HISTORIES: dict[str, Callable[[], tuple[World, str]]] = {}


def history(make: Callable[[], tuple[World, str]]) -> Callable[[], tuple[World, str]]:
    HISTORIES[make.__name__] = make
    return make


@history
def supervised() -> tuple[World, str]:
    """annan's report, endorsed by beimen and cigu, a late rejection by danei; health concurs."""
    world = World()
    message = world.submit("annan", report())
    world.block(("beimen", judge(message)), ("cigu", judge(message)))
    world.block(("danei", judge(message, "reject")))
    world.block(("health", Concur(message)))
    return world, message


@history
def silent() -> tuple[World, str]:
    world = World()
    return world, world.recorded()


@history
def rejected() -> tuple[World, str]:
    world = World()
    message = world.submit("annan", report())
    world.block(("beimen", judge(message, "reject")), ("cigu", judge(message, "reject")))
    return world, message


@history
def vetoed() -> tuple[World, str]:
    world = World()
    message = world.submit("annan", report())
    codes = world.genesis.charter.codes.veto
    world.block(("health", VetoAct(message, codes[0] if codes else "other", None)))
    return world, message


@history
def voted() -> tuple[World, str]:
    world = World(charter=replace(charters.for_network("pilot", 4, 1, k=2)[0], kinds=[]))
    message = world.submit("annan", report("report.urgent.dengue", incident="new"))
    world.block(("beimen", judge(message)), ("cigu", judge(message)))
    return world, message


@history
def broadcast() -> tuple[World, str]:
    world = World(charter=charters.load("broadcast-only"))
    return world, world.submit("annan", report())


@history
def noticed() -> tuple[World, str]:
    """A vote that is not decided before an hour's notice is over."""
    charter = charters.load("paper")
    first = replace(charter.rules[0], model="vote", veto=None, notice_s=3600)
    world = World(charter=replace(charter, rules=[first, *charter.rules[1:]]))
    message = world.submit("annan", report())
    world.block(("beimen", judge(message)), ("cigu", judge(message)))
    world.block(later=HOUR)
    return world, message


@history
def lapsed() -> tuple[World, str]:
    world = World()
    message = world.submit("annan", report())
    world.block(("beimen", judge(message)))
    world.block(later=23 * HOUR + 59 * 60_000)
    return world, message


@history
def withdrawn() -> tuple[World, str]:
    world = World()
    message = world.submit("annan", report())
    world.block(("annan", Withdraw(message)))
    return world, message


@history
def moved() -> tuple[World, str]:
    world = World()
    incident = incident_of(world, world.recorded())
    message = world.submit("annan", motion("stage", StageMotion("watch", "response"), incident))
    world.block(("beimen", judge(message)), ("cigu", judge(message)))
    return world, message


@history
def settled() -> tuple[World, str]:
    world = World()
    message = world.recorded()
    world.block(("annan", Annotate(message, "update", None)))
    world.block(("health", finding(message)))
    return world, message


@history
def stained() -> tuple[World, str]:
    world = with_auditors()
    message = world.recorded(window=12 * HOUR)
    world.block(("audit-a", finding(message, "refuted", "field")))
    return world, message


@history
def reviewed() -> tuple[World, str]:
    """A review that upholds what an auditor refuted: the record is the review itself."""
    world, message = stained()
    finding = next(one.id for one in world.decoded if isinstance(one, FindingLeaf))
    terms = Review(finding, message, "upheld", "laboratory", EVIDENCE)
    review = world.submit("annan", Submit("finding.review", None, None, terms, None))
    world.block(("danei", judge(review)), ("gangshan", judge(review)))
    return world, review


@history
def ordered() -> tuple[World, str]:
    world = World()
    incident = incident_of(world, world.recorded())
    for kind, terms in (("lead", LeadMotion("stand", None)), ("stage", StageMotion("watch", "response"))):
        message = world.submit("annan", motion(kind, terms, incident))
        world.block(("beimen", judge(message)), ("cigu", judge(message)))
    terms = Order(["beimen", "cigu"], world.at + 2 * HOUR, world.at + 4 * HOUR, None)
    order = world.submit("annan", Submit("order.spray", incident, None, terms, None))
    world.block(*((one, Acknowledge(order, "done", None)) for one in ("beimen", "cigu")))
    return world, order


@history
def relayed() -> tuple[World, str]:
    charter = charters.load("paper")
    county = World(people=PEOPLE | {"bureau": ["relay"]}, charter=charter)
    people: dict[str, list[Any]] = {name: ["relay", "voter"] for name in ("kaohsiung", "tainan", "taipei")}
    nation = World("health.example/tw", people | {"centre": ["supervisor"]}, charter)
    nation.at = county.at
    county.befriend(nation, "parent", None, ["annan", "beimen", "cigu", "danei"])
    nation.befriend(county, "child", "tainan", ["kaohsiung", "tainan", "taipei", "centre"])
    county.recorded()
    nation.at = county.at
    county.relay_to(nation, "taipei")
    message = next(iter(nation.state.messages))
    nation.block(("kaohsiung", judge(message)), ("taipei", judge(message)))
    nation.block(later=HOUR)
    return nation, message
