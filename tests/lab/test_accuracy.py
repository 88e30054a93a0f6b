"""A township's sensitivity and specificity, and what they predict."""

import pytest

from tests.lab.small import archive, case
from tocsin.lab.accuracy import accuracy, differs
from tocsin.lab.knowledge import Knowledge
from tocsin.lab.scoring import Span
from tocsin.lab.statistics import at_least, below
from tocsin.lab.truth import Truth, TruthRule

RULE = TruthRule(min_cases=4, min_places=2)
WAVE = [case(0, 100), case(1, 100), case(0, 110), case(1, 110)]


def test_units_are_townships_in_waves_and_in_quiet_blocks() -> None:
    made = archive([*WAVE, case(3, 303)], last=400)
    measured = accuracy(Knowledge(made), Truth(made, RULE), Span(1, 394), 1, 2)
    assert measured.sensitivity.estimate == pytest.approx(2 / 3)
    blocks_of_alpha = 56 - len(range(99, 125, 7)) - 1
    seen = 3
    assert measured.specificity.estimate == pytest.approx(1 - seen / (3 * blocks_of_alpha + 2 * 56), abs=2e-3)
    assert measured.observed_missed == 0.0
    assert measured.observed_false_blocks_per_year == 0.0


def test_predictions_are_the_sheets_forms() -> None:
    made = archive([*WAVE, case(3, 303), case(4, 303)], last=400)
    measured = accuracy(Knowledge(made), Truth(made, RULE), Span(1, 394), 1, 2, iccs=(0.05,))
    (prediction,) = measured.predictions
    assert prediction.missed == pytest.approx(below(2, 3, measured.sensitivity.estimate, 0.05))
    assert prediction.false_blocks_per_year > 50 * at_least(2, 2, 1 - measured.specificity.estimate, 0.05)
    assert measured.observed_false_blocks_per_year == pytest.approx(3 / (394 / 365.25))


def test_a_factor_of_two_is_the_limit() -> None:
    assert not differs(1.0, 2.0)
    assert differs(1.0, 2.01)
    assert differs(0.0, 0.1)
    assert not differs(0.0, 0.0)


def test_refuses_to_measure_on_nothing() -> None:
    made = archive([case(0, 100)], last=400)
    with pytest.raises(ValueError, match="no outbreak"):
        accuracy(Knowledge(made), Truth(made, RULE), Span(1, 394), 1, 2)
