"""The other members of a network as a node's configuration knows them, by what their offers say; and observers."""

from msgspec.structs import replace

from tocsin.node.ceremony import Offer
from tocsin.node.home.config import NetworkUse


def meet(use: NetworkUse, offer: Offer) -> NetworkUse:
    """Know the address of a member; our own offer says what we announce. Known already, the newer offer counts."""
    comet = use.cometbft
    if offer.founder.id == use.member:
        return replace(use, cometbft=replace(comet, announce=offer.comet.partition("@")[2]))
    return replace(
        use,
        members={**use.members, offer.founder.id: offer.url},
        cometbft=replace(use.cometbft, peers={**use.cometbft.peers, offer.founder.id: offer.comet}),
    )


def part(use: NetworkUse, offer: Offer) -> NetworkUse:
    """Forget the addresses of a member, that for snapshots too."""

    def others(known: dict[str, str]) -> dict[str, str]:
        return {id: address for id, address in known.items() if id != offer.founder.id}

    comet = replace(use.cometbft, peers=others(use.cometbft.peers), sync=others(use.cometbft.sync))
    return replace(use, members=others(use.members), cometbft=comet)


def let_in(use: NetworkUse, observers: list[str]) -> NetworkUse:
    """Let the CometBFT of these observers in, by their node ids, beside the members'."""
    return replace(use, cometbft=replace(use.cometbft, observers=observers))
