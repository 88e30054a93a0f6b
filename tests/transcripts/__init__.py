"""Golden transcripts: scenarios played against the real kernel, kept for ever.

Each `.txt` holds a script and, on lines that begin with `|`, everything the kernel answered. `play.py` plays them;
`TOCSIN_REWRITE=1` writes the answers anew. What a line of a script may say is in `script.py`.
"""
