"""Other versions of Python that this machine has."""

import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path


def interpreter(name: str) -> Path | None:
    """A working Python of a version such as `3.13`: on the path, or one of pyenv's."""
    on_path = shutil.which(f"python{name}")
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for one in [*([on_path] if on_path else []), *sorted(pyenv.glob(f"{name}.*/bin/python"))]:
        # What is on the path may be a shim that only says what is missing.
        if subprocess.run([one, "-c", ""], capture_output=True, check=False).returncode == 0:
            return Path(one)
    return None


def install(python: Path, folder: Path, *packages: str) -> None:
    """Packages for that Python, of the versions that are used here, in a folder for its path."""
    wanted = [f"{one}=={version(one)}" for one in packages]
    command = [python, "-m", "pip", "install", "--quiet", "--no-compile", "--target", folder, *wanted]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
