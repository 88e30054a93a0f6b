"""A second reading of the law: the rules of one network, written to be obviously right and slow."""

from tests.oracle.oracle import Oracle, OracleOutcome

__all__ = ["Oracle", "OracleOutcome"]
