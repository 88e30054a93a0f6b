"""Whole trees of networks on one machine, in one process or in many."""
