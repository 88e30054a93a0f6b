"""What outsiders install: signing, and checking a record offline with nothing but a file and a policy.

- `signing`: envelopes, founding, proofs of possession, cosignatures
- `policy`: whom a verifier trusts, from outside the dossier
- `dossier`: the one file that shows a record, and how it is put together from a log
- `verify`: the check, line by line
- `export`: the same proof in C2SP formats
"""
