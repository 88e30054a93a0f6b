"""The peer: a Cosmos SDK application with x/group, a Go program of the benchmark's own in `bench/group`.

It is built once into the user's cache, from checksums that stand beside it, and known again by its source.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from tocsin.engine.cometbft import install
from tocsin.lab.bench.net.load import LoadFailed

SOURCE = Path(__file__).parents[5] / "bench" / "group"
_TIMEOUT_S = 1200


class PeerMissing(Exception):
    """The program could not be built; the sentence says what to do."""


def place() -> Path:
    """Where the program of this source is, or would be. Raises PeerMissing."""
    files = sorted(path for path in SOURCE.glob("*") if path.suffix in (".go", ".mod", ".sum"))
    if not files:
        raise PeerMissing(f"The peer's source is not at {SOURCE}; run this from a checkout of the repository.")
    digest = sha256(b"".join(path.name.encode() + b"\0" + path.read_bytes() for path in files)).hexdigest()
    return install.folder().parent / f"bench-group-{digest[:16]}"


def build(say: Callable[[str], None]) -> Path:
    """The program, built if it is not in the cache: some minutes on two cores. Raises PeerMissing, EngineMissing."""
    program = place()
    if program.is_file():
        return program
    cache = program.parent
    cache.mkdir(parents=True, exist_ok=True)
    go = install.find_go(cache)
    say(f"Building the Cosmos SDK peer by {go}; this takes some minutes.")
    environment = os.environ | install.GO_SETTINGS
    with tempfile.TemporaryDirectory(dir=cache) as work:
        built = Path(work) / "group"
        done = subprocess.run(
            [str(go), "build", "-trimpath", "-mod=readonly", "-buildvcs=false", "-o", str(built), "."],
            cwd=SOURCE, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if done.returncode:
            raise PeerMissing(
                f"Go could not build the Cosmos SDK peer: {' '.join(done.stderr.split()[-60:])}. Check that the Go "
                "module proxy can be reached (GOPROXY), then try again; or leave it out by --without-group."
            )
        built.replace(program)
    return program


def measure(program: Path, validators: int, acts: int, proposals: int, window: int, commit_ms: int) -> dict[str, Any]:
    """Decide so many proposals. Raises LoadFailed if they were not."""
    sizes = {"validators": validators, "acts": acts, "proposals": proposals, "window": window}
    command = [str(program), *(f"-{name}={value}" for name, value in sizes.items()), f"-commit={commit_ms}ms"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT_S
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"The Cosmos SDK peer took longer than {_TIMEOUT_S} s.") from error
    if done.returncode:
        raise LoadFailed(f"The Cosmos SDK peer failed: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = msgspec.json.decode(done.stdout)
    return found
