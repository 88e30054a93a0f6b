"""Heads that members' nodes sign: collected, passed on at a change of the signers, cosigned by witnesses."""
