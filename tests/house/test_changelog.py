"""The change log knows the version that is being built."""

import re
import tomllib

from tests.paths import ROOT


def _changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_current_version_has_an_entry() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", _changelog(), re.MULTILINE)


def test_versions_descend() -> None:
    found = re.findall(r"^## (\d+)\.(\d+)\.(\d+)", _changelog(), re.MULTILINE)
    versions = [tuple(int(part) for part in one) for one in found]
    assert versions == sorted(set(versions), reverse=True)
