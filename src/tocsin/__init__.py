"""Tocsin: the alarm that many agencies ring together."""
