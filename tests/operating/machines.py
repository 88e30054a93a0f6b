"""The pages of `docs/operating`, played on one machine: a folder stands for each agency's machine.

A page's shell blocks are run line by line as they stand. What is put in the place of what is written: ports, since all
machines are one; words in CAPITALS, which the page tells to fill in; `systemctl`, which starts and stops the node of that
folder; and block times and notices, since nobody waits three days here. What the line before a block says:

- `*At annan:*`, `*At each:*`, `*At each but annan:*`: on whose machine;
- `*At annan, until it exits with 0:*`: the last line is repeated until it ends so;
- `*Into node/node.toml of annan:*`: its block of TOML is added to the end of that file;
- `*annan sends FILE to bureau:papers*`, without a block: how a file gets from one machine to others.
"""

import multiprocessing
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.node.net import PATIENCE_S, free_ports
from tests.paths import ROOT

PAGES = ROOT / "docs" / "operating"
NET = "health.example/tw/tainan"
PASSPHRASE = "as long as a sentence, and nowhere else"
SET_UP = ("git pull --ff-only", "make .venv/ready")
"""What brings a checkout up to date: `test_checkout.py` does it. Here all machines run the program that is tested."""
_PART = re.compile(
    r"^\*(?P<mark>[^*\n]+)\*\n\n?(?:```(?:sh|toml)\n(?P<block>.*?)^```)?|^```sh\n(?P<bare>.*?)^```", re.M | re.S
)
_SENDS = re.compile(r"(\w+) sends (\S+) to (\w+):(\S+)")
_AT = re.compile(r"At (\w+)(?: but (\w+))?(?:, until it exits with ([01]))?:")
_INTO = re.compile(r"Into (\S+) of (\w+):")
_PRINTED = (
    ("DIGEST", "founding check", r"\b[0-9a-f]{64}\b"),
    ("MESSAGE", "motion list", r"\b[0-9a-f]{64}\b"),
    ("MESSAGE", "act report", r"\b[0-9a-f]{64}\b"),
    ("LOG-KEY", "log.vkey", r"\S+\+[0-9a-f]{8}\+\S+"),
    ("WITNESS-KEY", "node status node --json", r"(?<=\"witness\": \")[^\"]+"),
)
"""A word in CAPITALS, the command that prints what it stands for, and what that looks like."""

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.operating.machines", "tocsin.cli.main"])


class Ended(NamedTuple):
    """A command's exit code and what it printed."""

    code: int
    text: str


class Machine:
    """A folder for an agency's machine. `release`: the newest protocol number that its program knows."""

    def __init__(self, folder: Path, name: str, roles: str, ports: tuple[int, int]) -> None:
        self.folder = folder
        self.name = name
        self.http, self.comet = ports
        self.release = 1
        self.words = {"ME": name, "HOST": f"{name}.example", "NET": NET, "ROLES": roles}
        self.said = ""
        self._node: subprocess.Popen[bytes] | None = None
        folder.mkdir()

    def start(self, line: str) -> "Running":
        """Begin a line of a block."""
        if line.startswith("tocsin "):
            return _Command(shlex.split(line)[1:], self)
        if "systemctl " in line:
            verb = line.split()[2 if line.startswith("sudo") else 1]
            if verb in ("stop", "restart"):
                self.stop()
            if verb in ("start", "restart"):
                self.run()
            return _Done(Ended(0, ""))
        if line in SET_UP:
            self.release = 2 if line.startswith("git") else self.release
            return _Done(Ended(0, ""))
        done = subprocess.run(["bash", "-c", line], cwd=self.folder, capture_output=True, text=True, check=False)
        return _Done(Ended(done.returncode, done.stdout + done.stderr))

    def run(self) -> None:
        """What the unit of the page runs."""
        (unit,) = re.findall(r"^ExecStart=\S+/tocsin (.*)$", (PAGES / "start.md").read_text(encoding="utf-8"), re.M)
        with (self.folder / "node.log").open("ab") as log:
            self._node = subprocess.Popen(
                [sys.executable, "-c", _release(self.release), *shlex.split(unit)], cwd=self.folder, stdout=log, stderr=log,
                env={**os.environ, "TOCSIN_PASSPHRASE": PASSPHRASE}, start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        """As the unit does it."""
        if self._node is not None:
            self._node.send_signal(signal.SIGTERM)
            self._node.wait(PATIENCE_S)
            self._node = None

    def log(self) -> str:
        """The end of what the node printed."""
        path = self.folder / "node.log"
        return path.read_text(encoding="utf-8", errors="replace")[-2000:] if path.exists() else ""


class Running:
    """A line that runs."""

    def end(self) -> Ended:
        """Wait for it."""
        raise NotImplementedError


class _Done(Running):
    def __init__(self, ended: Ended) -> None:
        self._ended = ended

    def end(self) -> Ended:
        return self._ended


class _Command(Running):
    """`tocsin` in a process of its own, which need not load all modules again."""

    def __init__(self, words: list[str], machine: Machine) -> None:
        self._output = machine.folder / ".output"
        self._process = _processes.Process(
            target=_main, args=(words, str(machine.folder), str(self._output), machine.release)
        )
        self._process.start()

    def end(self) -> Ended:
        self._process.join(PATIENCE_S)
        assert self._process.exitcode is not None, "a command does not end"
        return Ended(self._process.exitcode, self._output.read_text(encoding="utf-8"))


def _main(words: list[str], folder: str, output: str, release: int) -> None:
    from tocsin.cli.main import main
    from tocsin.kernel import upgrade
    from tocsin.node.keys import LIGHT, Keystore

    upgrade.PROTOCOLS = tuple(range(1, release + 1))
    Keystore.save.__defaults__ = (LIGHT,)  # A second for each opening would be most of the test.
    os.chdir(folder)
    os.environ["TOCSIN_PASSPHRASE"] = PASSPHRASE
    with open(output, "wb", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    code = main(words)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _release(newest: int) -> str:
    """A program that knows the protocol numbers up to this: today's, or one of the next release."""
    known = tuple(range(1, newest + 1))
    return (
        f"import sys; from tocsin.kernel import upgrade; upgrade.PROTOCOLS = {known}; "
        "from tocsin.cli.main import main; sys.exit(main())"
    )


class Consortium:
    """All machines. `words`: what stands for the words in capitals."""

    def __init__(self, folder: Path, charter: bytes) -> None:
        self.folder = folder
        self.machines: dict[str, Machine] = {}
        self.words: dict[str, str] = {}
        self.heard: Callable[[str, str], None] = lambda name, text: None
        """Called with what each command printed."""
        self.meanwhile: Callable[[], object] = lambda: None
        """Called while an outcome is waited for."""
        self._ports = ExitStack()
        self._charter = folder / "charter.json"
        self._charter.write_bytes(charter)

    def add(self, name: str, roles: str) -> Machine:
        """One more machine."""
        http, comet = self._ports.enter_context(free_ports(2))
        self.machines[name] = Machine(self.folder / name, name, roles, (http, comet))
        return self.machines[name]

    def play(self, page: str, each: list[str]) -> dict[str, str]:
        """Everything a page says, in order; the last output of each machine. `each`: who that is."""
        for mark, block in parts(page):
            sends = _SENDS.fullmatch(mark)
            at = _AT.fullmatch(mark)
            into = _INTO.fullmatch(mark)
            if sends is not None:
                self.send(sends[1], sends[2], sends[3], sends[4], each)
            elif into is not None:
                machine = self.machines[into[2]]
                with (machine.folder / into[1]).open("a", encoding="utf-8") as file:
                    file.write(f"\n{self._for(machine, block)}")
            elif at is not None:
                names = [one for one in each if one != at[2]] if at[1] == "each" else [at[1]]
                self.at(names, block, int(at[3]) if at[3] else None)
        return {name: machine.said for name, machine in self.machines.items()}

    def at(self, names: list[str], block: str, awaited: int | None = None) -> None:
        """Run a block on these machines. `awaited`: how its last line is to end, however often it takes."""
        lines = [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]
        for place, line in enumerate(lines):
            if line.startswith("export "):
                continue  # Each has its own, from the beginning.
            last = place == len(lines) - 1
            # Nodes are started again one after the other; all else may be done at once.
            for group in [[name] for name in names] if "systemctl restart" in line else [names]:
                running = {name: self.machines[name].start(self._for(self.machines[name], line)) for name in group}
                for name, one in running.items():
                    self._ended(name, line, one.end(), awaited if last else None)
                if "systemctl restart" in line and len(names) > 1:
                    self._ended(name, "tocsin node status node", Ended(1, ""), 0)

    def send(self, sender: str, what: str, receiver: str, where: str, each: list[str]) -> None:
        """Copy a file or a folder into a folder of another machine, or of `all`; from one, or from `Each`."""
        for name in each if sender == "Each" else [sender]:
            source = self.machines[name]
            path = source.folder / what.replace("$ME", name)
            for other in self.machines if receiver == "all" else [receiver]:
                target = self.machines[other].folder / where
                target.mkdir(parents=True, exist_ok=True)
                if path.is_dir() and path != target:
                    shutil.copytree(path, target, dirs_exist_ok=True)
                elif path.is_file() and path.parent != target:
                    shutil.copy(path, target)

    def close(self) -> None:
        for machine in self.machines.values():
            machine.stop()
        self._ports.close()

    def _ended(self, name: str, line: str, ended: Ended, awaited: int | None) -> None:
        machine = self.machines[name]
        until = time.monotonic() + PATIENCE_S
        while awaited not in (None, ended.code) and time.monotonic() < until:
            self.meanwhile()
            time.sleep(0.3)
            ended = machine.start(self._for(machine, line)).end()
        machine.said = ended.text
        self.heard(name, ended.text)
        assert ended.code == (awaited or 0), f"{name}$ {line}\n{ended.text}\n{machine.log()}"
        for word, command, looks in _PRINTED:
            found = re.findall(looks, ended.text)
            if command in line and found:
                self.words[word] = found[0]
        if "node init" in line:
            for node in re.findall(r"\b[0-9a-f]{40}\b", ended.text):
                self.words["NODE-ID"] = node
            config = machine.folder / "node" / "node.toml"
            text = config.read_text(encoding="utf-8")
            config.write_text(
                text.replace("one-host = false", "one-host = true").replace("block-ms = 1000", "block-ms = 200")
            )

    def _for(self, machine: Machine, line: str) -> str:
        """A line as it is run on this machine."""
        line = line.partition("  # ")[0]
        line = re.sub(r"\$(\w+)", lambda found: machine.words[found[1]], line)
        line = re.sub(r"\b(DIGEST|MESSAGE|NODE-ID|LOG-KEY|WITNESS-KEY)\b", lambda found: self.words[found[1]], line)
        for name, other in self.machines.items():
            line = line.replace(f"{name}.example:8440", f"127.0.0.1:{other.http}")
            line = line.replace(f"{name}.example:26656", f"127.0.0.1:{other.comet}")
        line = line.replace("0.0.0.0:8440", f"127.0.0.1:{machine.http} --comet-listen 127.0.0.1:{machine.comet}")
        line = line.replace("127.0.0.1:8440", f"127.0.0.1:{machine.http}")
        return line.replace("--charter pilot", f"--charter {self._charter}")


def parts(page: str) -> Iterator[tuple[str, str]]:
    """(mark, block) of each marked shell block and each mark that stands alone. A block without a mark is an error."""
    for found in _PART.finditer((PAGES / page).read_text(encoding="utf-8")):
        assert found["bare"] is None, f"{page}: nobody says on whose machine this is run:\n{found['bare']}"
        block = found["block"] or ""
        known = any(one.fullmatch(found["mark"]) for one in ((_AT, _INTO) if block else (_SENDS,)))
        assert known, f"{page}: {found['mark']!r} says nothing that is understood"
        yield found["mark"], block
