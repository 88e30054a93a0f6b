"""Nodes to one another and to people, over HTTP."""
