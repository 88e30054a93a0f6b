"""Fuzzers: whatever comes in, nothing raises, and what is taken is exactly what it says.

Derandomized, so that a build is repeatable. `TOCSIN_FUZZ=50 pytest tests/fuzz` looks fifty times as long, each time
elsewhere. What was once found is kept in `seeds/` and replayed every time.
"""
