"""Where tests look for optional material that is not part of the project."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
"""Reference data beside the checkout; tests that need it skip, with a reason, where it is absent."""
