"""The other members of a network as a node's configuration knows them, by what their offers say; and observers."""

from msgspec.structs import replace

from tocsin.node.ceremony import Offer
from tocsin.node.config import NetworkUse


def meet(use: NetworkUse, offer: Offer) -> NetworkUse:
    """Know the address of a member; our own offer says what we announce. Known already, the newer offer counts."""
    comet = use.cometbft
    if offer.founder.id == use.member:
        return replace(use, cometbft=replace(comet, announce=offer.comet.partition("@")[2]))
    use = part(use, offer)
    return replace(
        use,
        members={**use.members, offer.founder.id: offer.url},
        cometbft=replace(use.cometbft, peers={**use.cometbft.peers, offer.founder.id: offer.comet}),
    )


def part(use: NetworkUse, offer: Offer) -> NetworkUse:
    """Forget the address of a member."""
    return replace(
        use,
        members={id: url for id, url in use.members.items() if id != offer.founder.id},
        cometbft=replace(
            use.cometbft, peers={id: at for id, at in use.cometbft.peers.items() if id != offer.founder.id}
        ),
    )


def let_in(use: NetworkUse, observers: list[str]) -> NetworkUse:
    """Let the CometBFT of these observers in, by their node ids, beside the members'."""
    return replace(use, cometbft=replace(use.cometbft, observers=observers))
