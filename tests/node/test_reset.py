"""`tocsin node reset` cut off at any step: the old data are there or the new, and CometBFT's node key always."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.node.test_agency import start, stop
from tocsin.node.home import config as configs
from tocsin.node.home import durable, places, resetting
from tocsin.node.trial import testnet
from tocsin.store.store import Store

NETS = testnet.shape(2, [1])
ORIGIN, MEMBER = NETS[0].origin, NETS[0].own[1]
STEPS = (
    (durable, "write"), (Store, "open"), (Path, "mkdir"), (Path, "rename"), (shutil, "rmtree"), (os, "rmdir"),
)  # fmt: skip


class Killed(BaseException):
    """Where the process would have ended."""


def killed_at(monkeypatch: pytest.MonkeyPatch, step: int, work: Callable[[], object]) -> bool:
    """Do some work and be killed before its step of this number; whether it has so many."""
    left = step

    def before(true: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return true(*given, **named)

        return call

    with monkeypatch.context() as counted:
        for owner, name in STEPS:
            true = getattr(owner, name)
            counted.setattr(owner, name, staticmethod(before(true)) if name == "open" else before(true))
        try:
            work()
        except Killed:
            return True
    return False


def test_a_reset_that_is_killed_changes_no_node_key_and_is_ended_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    testnet.write(tmp_path / "tree", NETS, "follow")
    config = configs.load(tmp_path / "tree" / MEMBER)
    here = places.folder(config.data_dir, ORIGIN)
    with Store.open(places.database(config.data_dir, ORIGIN), read_only=True) as store:
        papers = store.network(ORIGIN).genesis, store.network(ORIGIN).founding
    key = places.node_key(config.data_dir, ORIGIN)
    before, step, outcomes = tmp_path / "before", 0, set()
    (here / "mark").touch()
    shutil.copytree(config.data_dir, before)
    while killed_at(monkeypatch, step, lambda: resetting.reset(config, ORIGIN, *papers)):
        # Whoever starts the node next may be killed too.
        again = 0
        while killed_at(monkeypatch, again, lambda: resetting.finish(config.data_dir, ORIGIN)):
            again += 1
        outcomes.add((here / "mark").exists())
        assert places.node_key(config.data_dir, ORIGIN) == key
        with Store.open(places.database(config.data_dir, ORIGIN), read_only=True) as store:
            assert store.network(ORIGIN).genesis == papers[0]
        shutil.rmtree(config.data_dir)
        shutil.copytree(before, config.data_dir)
        step += 1
    assert outcomes == {True, False}
    assert step > 8
    assert not (here / "mark").exists()
    assert places.node_key(config.data_dir, ORIGIN) == key
    assert all(path.is_relative_to(here) for path in config.data_dir.rglob("*") if path.is_file())


def test_the_next_start_ends_what_was_cut_off(tmp_path: Path) -> None:
    testnet.write(tmp_path / "tree", NETS, "follow")
    home = tmp_path / "tree" / NETS[0].own[0]
    data_dir = configs.load(home).data_dir
    here = places.folder(data_dir, ORIGIN)
    (data_dir / resetting._OLD).mkdir()
    here.rename(places.folder(data_dir / resetting._OLD, ORIGIN))
    stop(start(home))
    assert here.exists()
    assert not places.folder(data_dir / resetting._OLD, ORIGIN).exists()
