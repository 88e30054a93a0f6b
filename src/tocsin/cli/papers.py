"""The papers of a founding, as commands are given them: genesis and signatures."""

import argparse
from pathlib import Path
from typing import Any

import msgspec

from tocsin.cli.output import Failure
from tocsin.cli.verify import read
from tocsin.client.signing import SigningError, verify_founding
from tocsin.kernel.genesis import MAX_GENESIS, Founding, Genesis, GenesisError, decode_genesis
from tocsin.node import ceremony


def add_papers(parser: Any) -> None:
    """The arguments that name them."""
    parser.add_argument("--papers", type=Path, help="folder of the founding: genesis, signatures, all addresses")
    parser.add_argument("--genesis", type=Path, help="the network's genesis file, if there is no such folder")
    parser.add_argument("--founding", type=Path, help="its founding signatures")


def papers_of(options: argparse.Namespace) -> tuple[Genesis, bytes, bytes]:
    """The genesis of the papers that are named, and both files; raises Failure unless they hold."""
    genesis_bytes, founding_bytes = _read(options)
    try:
        genesis = decode_genesis(genesis_bytes)
        verify_founding(genesis, msgspec.json.decode(founding_bytes, type=Founding))
    except (GenesisError, SigningError, msgspec.DecodeError) as error:
        raise Failure(f"This founding does not hold: {error}") from error
    return genesis, genesis_bytes, founding_bytes


def _read(options: argparse.Namespace) -> tuple[bytes, bytes]:
    if options.papers is not None:
        genesis, founding = options.papers / ceremony.GENESIS, options.papers / ceremony.FOUNDING
        return read(genesis, MAX_GENESIS), read(founding, MAX_GENESIS)
    if options.genesis is None or options.founding is None:
        raise Failure("Name the folder of the founding by --papers, or its files by --genesis and --founding.")
    return read(options.genesis, MAX_GENESIS), read(options.founding, MAX_GENESIS)
