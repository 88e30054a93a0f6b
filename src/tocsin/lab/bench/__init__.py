"""What Tocsin costs, beside its limits: the measurements of `tocsin bench`.

Every figure is a ratio to something measured in the same run on the same machine, or stands beside a fixed limit.
Everything goes the way that a member's envelope goes: bytes, decode, signatures in threads, block, durable commit.
"""
