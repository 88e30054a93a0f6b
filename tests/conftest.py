"""Hypothesis in a build: the same examples each time, as the fuzzers have them, however slow the machine is."""

from hypothesis import HealthCheck, settings

from tests.fuzz.dice import TIMES

settings.register_profile(
    "build", derandomize=TIMES == 1, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("build")
