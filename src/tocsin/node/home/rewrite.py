"""The configuration as commands write it: whole or not at all, and with all that its owner wrote around it."""

import tomllib
from pathlib import Path
from stat import S_IMODE
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from tocsin.node.home import durable
from tocsin.node.home.config import Config, ConfigError, parse, render


def save(config: Config, path: Path, before: Config | None = None) -> bytes:
    """Write `path`, which a running node reads; what was written. `before`: as it stands there now, if it does.

    What does not differ from `before` stays as it is written, comments too. Paths are as they shall be written.
    Raises ConfigError if the configuration cannot be used, OSError.
    """
    whole = render(config).encode()
    data = whole if before is None else _edited(path, before, config)
    if parse(data, path) != parse(whole, path):
        raise ConfigError(f"{path} is written in a way that cannot be changed by a command; change it by hand.")
    durable.write(path, data, 0o644 if before is None else S_IMODE(path.stat().st_mode))
    return data


def _edited(path: Path, before: Config, config: Config) -> bytes:
    try:
        document = tomlkit.parse(path.read_bytes())
        _follow(document, tomllib.loads(render(before)), tomllib.loads(render(config)))
        return tomlkit.dumps(document).encode()
    except TOMLKitError as error:
        raise ConfigError(f"{path} cannot be changed by a command ({error}); change it by hand.") from error


def _follow(written: Any, old: Any, new: Any) -> None:
    """Make of the tables that are written what changed between two of the same kind."""
    for key in old.keys() - new.keys():
        written.pop(key, None)
    for key, value in new.items():
        here = written.get(key)
        if old.get(key) == value:
            continue
        if isinstance(value, dict) and here is not None:
            _follow(here, old.get(key, {}), value)
        elif key == "networks":
            del here[len(value) :]
            for place, one in enumerate(value):
                if place < len(old[key]):
                    _follow(here[place], old[key][place], one)
                else:
                    here.append(tomlkit.item(one))
        elif here is None or not _became(here, value):
            written[key] = value


def _became(written: Any, value: Any) -> bool:
    """Make of a list that is written another one, with what stands beside its elements."""
    if not isinstance(value, list):
        return False
    for place in reversed(range(len(written))):
        if written[place] not in value:
            del written[place]
    for one in value[len(written) :]:
        written.append(one)
    return list(written) == value
