"""What can go wrong, each with its own repair. A fault is told by its name and drawn numbers, so a seed replays it."""

import contextlib
import json
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import combinations
from random import Random
from typing import Any
from urllib.request import urlopen

from msgspec.structs import replace

from tests.engine.comet import free_port, now, validator_key
from tests.faults.disk import Broken, fill
from tests.faults.network import CATCH_UP_S, LIVE_S, Network, Pair
from tests.faults.site import Part, Site
from tests.faults.snapshots import kept
from tests.store.world import signer
from tocsin.client.signing import cosign_checkpoint
from tocsin.engine.cometbft.home import node_id
from tocsin.kernel.acts import Evidence
from tocsin.tlog import Checkpoint, checkpoint, note

Fault = Callable[[Network], str]
"""Does it and repairs it; says what it was."""


def kill_nodes(net: Network) -> str:
    """kill -9 of up to f nodes; the others go on; they come back from their disks."""
    victims = net.some(net.chance.randint(1, net.faulty))
    for site in victims:
        site.kill()
    took = net.live()
    time.sleep(net.chance.uniform(0, 2))
    for site in victims:
        site.start()
    return f"{_names(victims)}, the others went on after {took:.1f} s"


def kill_cometbft(net: Network) -> str:
    """kill -9 of CometBFT alone, perhaps of all: the application stays and starts it anew."""
    victims = net.some(net.chance.randint(1, net.validators))
    for site in victims:
        site.hit(signal.SIGKILL, "cometbft")
        time.sleep(net.chance.uniform(0, 0.2))
    return _names(victims)


def kill_application(net: Network) -> str:
    """kill -9 of the application alone, perhaps of all: its CometBFT must end, and a new one come."""
    victims = net.some(net.chance.randint(1, net.validators))
    for site in victims:
        site.kill_application()
    time.sleep(net.chance.uniform(0, 0.5))
    for site in victims:
        site.start()
    return _names(victims)


def power_cut(net: Network) -> str:
    """kill -9 of everything at once."""
    for site in net.up():
        site.kill()
    for site in net.honest:
        site.start()
    return "all"


def wiped_disk(net: Network) -> str:
    """A node loses its disk and comes back with its keys and what it signed, replaying all."""
    victim = _wipe(net)
    victim.start()
    return victim.name


def wiped_disk_and_snapshot(net: Network) -> str:
    """A node loses its disk and comes back by a snapshot of the others."""
    _snapshots(net, 1)
    victim = _wipe(net)
    _sync(net, victim)
    return f"{victim.name} from block {_synced(net, victim)} on"


def cut_sync(net: Network) -> str:
    """A node that comes back by a snapshot is killed on the way, again and again, application, CometBFT or both; it
    begins anew by itself."""
    _snapshots(net, 1)
    victim = _wipe(net)
    _sync(net, victim)
    done: list[str] = []
    for _ in range(net.chance.randint(1, 3)):
        part: Part = net.chance.choice(["application", "cometbft", "both"])
        step = net.chance.choice(["looks for", "takes in", "takes in"])
        pause = net.chance.uniform(0, 0.5)
        net.wait(
            lambda step=step: victim.final > 0 or (victim.sync.startswith(step) and bool(victim.cometbft())),  # type: ignore[misc]
            CATCH_UP_S, f"{victim.name} is to get a snapshot, and {victim.sync}",
        )  # fmt: skip
        time.sleep(pause)
        done.append(f"{part} while it {victim.sync}")
        if part == "cometbft":
            victim.hit(signal.SIGKILL, "cometbft")
        else:
            (victim.kill if part == "both" else victim.kill_application)()
            victim.start()
    return f"{victim.name} from block {_synced(net, victim)} on; killed: {', '.join(done)}"


def false_snapshot(net: Network) -> str:
    """A node that comes back is offered a snapshot in which one byte of one archived row is another, and all hashes are
    made again; it finds that out, and takes a true one."""
    _snapshots(net, 2)
    net.load.running.clear()
    net.wait(lambda: not net.load.unanswered(), CATCH_UP_S, "envelopes have no answer")
    victim, liar = net.some(2)
    victim.kill()
    others = net.up()
    # CometBFT takes the newest of all first: that must be the lie.
    older = min(set.intersection(*(set(kept(one.folder / "cometbft")) for one in others)))
    net.wait(lambda: kept(liar.folder / "cometbft")[-1] > older, CATCH_UP_S, f"{liar.name} has nothing to lie about")
    for one in others:
        one.show(older, net.chance.randrange(2**32) if one is liar else None)
    victim.wipe()
    _sync(net, victim)
    first = _synced(net, victim)
    if set(victim.turned_down) != {"its archived rows are not those whose sum is among the live ones"}:
        raise Broken(f"{victim.name} turned down: {victim.turned_down}")
    for one in others:
        one.show()
    return f"{victim.name} from block {first} on, not from what {liar.name} offered"


def _snapshots(net: Network, count: int) -> None:
    """Wait until all that are up have so many, of which the others can prove the headers whichever of them is wiped."""
    sites = net.up()
    base = sorted(map(_first, sites))[2]

    def there() -> bool:
        found = [kept(one.folder / "cometbft") for one in sites]
        return all(len(one) >= count and one[-count] > base for one in found)

    net.wait(there, CATCH_UP_S, "no snapshot")


def _sync(net: Network, victim: Site) -> None:
    """Start a site whose disk is empty; it looks for a snapshot. Who came by one himself has no older blocks."""
    longest = sorted(net.up(), key=_first)[:2]
    servers, height = tuple(one.setup.rpc for one in longest), _first(longest[1])
    trusted = _ask(servers[0], f"commit?height={height}")["signed_header"]["commit"]["block_id"]["hash"]
    net.restart(victim, sync=(servers, height, trusted))


def _synced(net: Network, victim: Site) -> int:
    """Wait until it is back; its CometBFT's first block."""
    net.wait(lambda: victim.final > 0, CATCH_UP_S, f"{victim.name}, wiped, has not come back")
    victim.setup = replace(victim.setup, sync=None)
    first = 0

    def there() -> bool:
        nonlocal first
        with contextlib.suppress(OSError):  # its CometBFT may just have been killed
            first = _first(victim)
        return first > 0  # while it comes back there is none yet

    net.wait(there, CATCH_UP_S, f"the CometBFT of {victim.name} has no block")
    if first == 1:
        raise Broken(f"{victim.name} replayed the chain instead of taking a snapshot")
    return first


def _first(site: Site) -> int:
    """The first block that its CometBFT has."""
    return int(_ask(site.setup.rpc, "status")["sync_info"]["earliest_block_height"])


def _ask(address: str, call: str) -> Any:
    with urlopen(f"http://{address}/{call}", timeout=20) as answer:
        return json.load(answer)["result"]


def _wipe(net: Network) -> Site:
    """One site down, its disk empty; what it signed and voted on lies elsewhere."""
    victim = net.some(1)[0]
    victim.kill()
    net.live()
    victim.wipe()
    return victim


def disk_full(net: Network) -> str:
    """The small disk of one node fills up: it stops and says so, the others go on; with room again it goes on by itself.

    Where the store was full the application halts, as engines do; a node begins again then by itself (`tree.disk_full`).
    """
    victim = next(site for site in net.honest if site.small_disk)
    ballast = victim.folder / "ballast"
    victim.trouble = ""
    fill(ballast)
    net.wait(lambda: bool(victim.halted or victim.trouble), CATCH_UP_S, f"{victim.name} does not notice its disk")
    why = victim.halted or victim.trouble
    with _only(net, [site for site in net.up() if site is not victim]):
        took = net.live()
    ballast.unlink()
    # What notices its disk first is CometBFT or the application, and the other one may do so yet.
    top = max(site.final for site in net.up())
    net.wait(lambda: bool(victim.halted) or victim.final >= top, CATCH_UP_S, f"{victim.name} does not come back")
    if victim.halted:
        victim.stop()
        victim.start()
    return f"{victim.name}: {why!r}; final after {took:.1f} s"


def pause(net: Network) -> str:
    """SIGSTOP of some for a while, of application, CometBFT or both; perhaps of more than may fail."""
    victims = net.some(net.chance.randint(1, net.validators - 1))
    part: Part = net.chance.choice(["application", "cometbft", "both"])
    seconds = net.chance.uniform(0.5, 5)
    for site in victims:
        site.up = False  # nothing is handed to it
        site.hit(signal.SIGSTOP, part)
    time.sleep(seconds)
    if len(victims) <= net.faulty:
        net.live()
    for site in victims:
        site.hit(signal.SIGCONT, part)
        site.up = True
    return f"{part} of {_names(victims)} for {seconds:.1f} s"


def cut_off(net: Network) -> str:
    """As many as may fail are cut off from the others, and perhaps from each other; the others go on all the while."""
    victims = set(net.chance.sample(range(net.validators), net.faulty))
    apart = net.chance.random() < 0.5
    return _divide(net, [0 if one not in victims else one + 1 if apart else 1 for one in range(net.validators)])


def partition(net: Network) -> str:
    """Wires out: two or three groups, single wires, one direction only."""
    shape = net.chance.choice(["groups", "wires", "one-way"])
    if shape == "groups":
        return _divide(net, groups(net.chance, net.validators))
    pairs = list(combinations(range(net.validators), 2))
    cut = net.chance.sample(pairs, net.chance.randint(1, len(pairs)))
    streams = ["upstream", "downstream"]
    if shape == "one-way":
        streams = [net.chance.choice(streams)]
    seconds = net.chance.uniform(1, 8)
    net.links.cut(cut, streams)
    time.sleep(seconds)
    net.links.heal()
    return f"{shape} {cut} {'+'.join(streams)} for {seconds:.1f} s"


def groups(chance: Random, count: int) -> list[int]:
    """The side of each of so many, on two or three sides; never are all on one."""
    while True:
        side = [chance.randrange(3) for _ in range(count)]
        if len(set(side)) > 1:
            return side


def _divide(net: Network, side: list[int]) -> str:
    """Cut all wires from one side to another for a while; a side that is a quorum must go on meanwhile."""
    seconds = net.chance.uniform(1, 8)
    largest = max(side, key=side.count)
    went_on = "no side could go on"
    net.links.cut([(a, b) for a, b in combinations(range(net.validators), 2) if side[a] != side[b]])
    time.sleep(seconds)
    if side.count(largest) >= net.validators - net.faulty:
        # Those on the other sides must not be asked: they cannot answer.
        with _only(net, [site for site, one in zip(net.honest, side, strict=True) if one == largest]):
            took = net.live()
        went_on = f"the largest went on after {took:.1f} s"
    net.links.heal()
    return f"sides {side} for {seconds:.1f} s; {went_on}"


def reset(net: Network) -> str:
    """Connections break off, all or some."""
    pairs = net.chance.sample(net.pairs, net.chance.randint(1, len(net.pairs)))
    net.links.reset(pairs)
    return f"{pairs}"


def slow_links(net: Network) -> str:
    """Delay, jitter and narrow wires; the network must go on all the while."""
    pairs: list[Pair] = net.chance.sample(net.pairs, net.chance.randint(1, len(net.pairs)))
    delay, jitter = net.chance.randint(20, 400), net.chance.randint(0, 200)
    rate = net.chance.choice([None, None, 64, 256])
    net.links.slow(pairs, delay, jitter, rate)
    time.sleep(net.chance.uniform(2, 5))
    took = net.live()
    net.links.heal()
    return f"{len(pairs)} wires with {delay} ms +- {jitter}, {rate or 'any'} KB/s; final after {took:.1f} s"


def storm(net: Network) -> str:
    """All at once for a while: slow wires, connections broken off, kills of this and that in quick succession."""
    net.links.slow(net.pairs, 40, 60, None)
    done: list[str] = []
    end = time.monotonic() + net.chance.uniform(5, 10)
    while time.monotonic() < end:
        site = net.some(1)[0]
        what = net.chance.choice(["cometbft", "application", "both", "pause"])
        if what == "cometbft":
            site.hit(signal.SIGKILL, "cometbft")
        elif what == "pause":
            site.hit(signal.SIGSTOP)
            time.sleep(net.chance.uniform(0.1, 1))
            site.hit(signal.SIGCONT)
        else:
            (site.kill if what == "both" else site.kill_application)()
            time.sleep(net.chance.uniform(0, 1))
            site.start()
        done.append(f"{what} {site.name}")
        time.sleep(net.chance.uniform(0, 0.5))
    net.links.heal()
    return ", ".join(done)


def wrong_clock(net: Network) -> str:
    """The application of up to f nodes believes another time, by minutes or hours; then it is corrected."""
    victims = net.some(net.chance.randint(1, net.faulty))
    skew = net.chance.choice([-86_400_000, -3_600_000, -700_000, 700_000, 3_600_000, 86_400_000])
    for site in victims:
        site.stop()
        net.restart(site, skew_ms=skew)
    time.sleep(net.chance.uniform(2, 4))
    right = [site for site in net.up() if site not in victims]
    with _only(net, right):
        took = net.live()
    for site in victims:
        site.stop()
        net.restart(site, skew_ms=0)
    return f"{_names(victims)} by {skew / 1000:+.0f} s; final after {took:.1f} s"


def bad_proposals(net: Network) -> str:
    """Up to f validators propose what no block may hold; the others turn it down and go on."""
    victims = net.some(net.chance.randint(1, net.faulty))
    others = [site for site in net.up() if site not in victims]
    for site in victims:
        site.stop()
        net.restart(site, lies=net.chance.randrange(2**32))
    before, turned_down = net.lies, sum(site.rejections() for site in others)
    net.wait(lambda: net.lies >= before + 3, CATCH_UP_S, "no three bad proposals were made")
    with _only(net, others):
        took = net.live()
    net.wait(
        lambda: sum(site.rejections() for site in others) > turned_down, LIVE_S, "nobody turned a bad proposal down"
    )
    for site in victims:
        site.stop()
        net.restart(site, lies=None)
    return f"{_names(victims)} made {net.lies - before}; final after {took:.1f} s"


def garbage(net: Network) -> str:
    """Noise at every port and in every envelope, and connections that say nothing."""
    held: list[socket.socket] = []
    before, given = net.load.refused_noise, 0
    with contextlib.ExitStack() as stack:
        for port in net.ports[: net.validators]:
            for _ in range(8):
                with contextlib.suppress(OSError):
                    one = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=2))
                    held.append(one)
                    if net.chance.random() < 0.7:
                        one.sendall(net.chance.randbytes(net.chance.randrange(1, 100_000)))
        good = net.world.report(net.world.members[0], net.world.created).data
        for site in net.up():
            for _ in range(20):
                noise = bytearray(net.chance.choice([good, net.chance.randbytes(200), good * 40]))
                for _ in range(net.chance.randint(1, 4)):
                    noise[net.chance.randrange(len(noise))] = net.chance.randrange(256)
                if bytes(noise) != good:
                    net.load.noise(bytes(noise), site)
                    given += 1
        took = net.live()
    net.wait(lambda: net.load.refused_noise == before + given, LIVE_S, "not all noise was refused")
    return f"{len(held)} connections, {given} envelopes; final after {took:.1f} s"


def stranger(net: Network) -> str:
    """A node that no member runs dials everybody; it gets no block."""
    folder = net.folder / f"stranger-{net.chance.randrange(10**9)}"
    seed = net.chance.randbytes(32)
    peers = [f"{node_id(known)}@127.0.0.1:{port}" for known, port in zip(net.seeds, net.ports, strict=True)]
    setup = replace(
        net.honest[0].setup, folder=str(folder), signed=f"{folder}-signed", votes=f"{folder}-votes", number=None, seed=seed.hex(),
        listen=f"127.0.0.1:{free_port()}", rpc=f"127.0.0.1:{free_port()}", peers=peers,
    )  # fmt: skip
    heights: list[int] = []
    outside = Site(folder.name, setup, lambda site, line: heights.append(line["final"]) if "final" in line else None)
    outside.start()
    net.wait(lambda: bool(outside.cometbft() and heights), CATCH_UP_S, "the stranger does not start")
    time.sleep(4)
    outside.kill()
    if max(heights) > 0:
        raise Broken(f"a stranger was given blocks up to {max(heights)}")
    return "it got nothing"


def two_heads(net: Network) -> str:
    """A member signs two heads of one size; another shows both, and the log has it."""
    members = net.world.members
    liar = net.chance.choice(members[net.validators :])
    block = net.read(net.up()[0]).blocks[-1]
    key = signer(net.world.origin, liar, "finality")
    true, false = (
        note.format(
            checkpoint.format(head := Checkpoint(net.world.origin, block.size, root)),
            [cosign_checkpoint(key, liar, head, int(time.time()) + skew)],
        ).decode()
        for root, skew in ((block.root, 0), (net.chance.randbytes(32), net.chance.choice([-86_400, 0, 86_400])))
    )
    proof = Evidence(net.world.origin, true, false, None, [])
    envelope = net.world.envelope(members[1], [proof], now())
    net.load.silent.add(liar)
    net.load.send(envelope, net.chance.choice(net.up()))
    net.wait(lambda: bool(net.load.book[envelope.digest].places), LIVE_S, "the evidence is not taken")
    public = key.public_key.encode()
    net.wait(
        lambda: any(leaf.startswith(b'{"leaf":"evidence"') and public in leaf for leaf in net.leaves()), LIVE_S,
        f"the log does not show the two heads of {liar}",
    )  # fmt: skip
    return f"{liar} at size {block.size}"


def twin(net: Network) -> str:
    """A validator runs twice, from a copied disk: CometBFT proves its double votes, and the log shows them."""
    double = next(site for site in net.twins if not site.signed.exists())
    owner = double.setup.number
    assert owner is not None
    original = net.honest[owner]
    key = validator_key(net.world, owner).hex()
    original.stop()
    shutil.copytree(
        original.folder, double.folder, ignore=shutil.ignore_patterns("run", "cometbft.log", "addrbook.json")
    )
    shutil.copy(original.signed, double.signed)
    shutil.copy(original.setup.votes, double.setup.votes)
    net.load.silent.add(net.world.members[owner])
    original.start()
    double.start()
    start = time.monotonic()
    net.wait(lambda: key in net.caught(), CATCH_UP_S, f"the double vote of {double.name} is not on the log")
    took = time.monotonic() - start
    double.kill()
    net.expelled.add(original.name)
    return f"{double.name} with the key of {original.name}: on the log after {took:.1f} s"


@contextmanager
def _only(net: Network, sites: list[Site]) -> Iterator[None]:
    """Ask these only."""
    others = [site for site in net.up() if site not in sites]
    for site in others:
        site.up = False
    try:
        yield
    finally:
        for site in others:
            site.up = True


def _names(sites: list[Site]) -> str:
    return ", ".join(sorted(site.name for site in sites))
