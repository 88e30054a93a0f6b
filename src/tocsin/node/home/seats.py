"""Whether a configuration names members whose keys are here: a name that is misspelt is nobody's."""

from collections.abc import Container
from pathlib import Path

from tocsin.node.home.config import Config, ConfigError
from tocsin.node.keys import Keystore


def check_seats(config: Config, origins: Container[str], keystore: Keystore, path: Path | None) -> None:
    """Raises ConfigError unless the act key of each member that is named for one of `origins` is in the keystore.

    `path`: of the configuration. Which of its other keys are missing, the status says: a member may be short of one
    for a while.
    """
    held = [(key.network, key.member) for key in keystore.entries() if key.role == "act"]
    for place, use in enumerate(config.networks):
        if use.origin not in origins or use.member is None or (use.origin, use.member) in held:
            continue
        known = ", ".join(member for origin, member in held if origin == use.origin)
        raise ConfigError(
            f"{path or 'The configuration'}: networks[{place}].member is {use.member}, of whom {config.keystore} has "
            f"no act key in {use.origin}{f'; it has that of {known}' if known else ''}. Correct the name, or put its "
            "keys there; leave member out to observe."
        )
