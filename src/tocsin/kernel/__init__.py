"""The rules of a network: pure, deterministic, integers, total.

No clock, I/O, randomness, floats or logging. Everything that decides is here; everything that
fetches, stores, signs or verifies signatures is not. The law is `spec/`; the code cites it at
each check as `spec 6.4` (section 6, item 4) or `spec F7` (fine print 7).
"""
