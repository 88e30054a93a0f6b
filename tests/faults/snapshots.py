"""Snapshots as sites show them: what they have up to some height, or lies above it."""

from pathlib import Path
from random import Random
from typing import Any

from tests.engine.test_cometbft_snapshots import Content, announced
from tocsin.engine.cometbft import wire
from tocsin.engine.cometbft.packing import pack
from tocsin.engine.cometbft.snapshots import FORMAT, Snapshots, read_chunk


def kept(home: Path) -> list[int]:
    """CometBFT's heights of the finished ones below a home, the newest last."""
    return sorted(int(one.name) for one in home.glob("snapshots/*") if one.name.isdigit())


class Shown(Snapshots):
    """Shows all it has, until told otherwise."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._above: int | None = None
        self._chance: Random | None = None
        self._lies: dict[int, list[bytes]] = {}

    def show(self, above: int | None, lies: int | None) -> None:
        """None above a height but lies that a seed draws: one byte of one archived row is another, and every hash is
        made again."""
        self._above, self._lies = above, {}
        self._chance = None if lies is None else Random(lies)

    def offered(self) -> list[wire.Snapshot]:
        true = super().offered()
        if self._above is None:
            return true
        found = [one for one in true if one.height <= self._above]
        for one in true:
            if one.height > self._above and self._chance is not None:
                if one.height not in self._lies:
                    self._lies[one.height] = self._spoilt(one, self._chance)
                found.append(announced(self._lies[one.height], one.height))
        return found

    def chunk(self, height: int, format: int, number: int) -> bytes:
        if height in self._lies:
            return pack(self._lies[height][number])
        return super().chunk(height, format, number)

    def _spoilt(self, one: wire.Snapshot, chance: Random) -> list[bytes]:
        content = Content([read_chunk(super(Shown, self).chunk(one.height, FORMAT, at)) for at in range(one.chunks)])
        row = chance.choice([row for row in content.rows if row[0].startswith("old-")])
        place = chance.randrange(len(row[1]))
        row[1] = row[1][:place] + bytes([row[1][place] ^ chance.randrange(1, 256)]) + row[1][place + 1 :]
        return content.chunks()
