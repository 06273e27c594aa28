"""Measured values in answers: which number is meant, and when it is right."""

import pytest

from rsvlm.metrics.measured_values import read_value, value_scores

ASKED = "What is the ALBEDO value for January 2019 in the remote image?"


@pytest.mark.parametrize(
    ("text", "number", "unit"),
    [
        ("12.51mm", 12.51, "mm"), ("-0.01", -0.01, ""), ("26.27°C", 26.27, "°c"), ("It was 3.6 m/s.", 3.6, "m/s"),
        ("The value in January 2019 is 0.45.", 0.45, ""), ("101,177.23Pa", 101177.23, "pa"), ("1.5e-3", 0.0015, ""),
        ("0.45, that is 0.45", 0.45, ""), ("\u22125 mm", -5, "mm"),
    ],
)  # fmt: skip
def test_the_one_value_of_an_answer(text, number, unit):
    found = read_value(text, ASKED)
    assert found is not None and (found.number, found.unit) == (pytest.approx(number), unit)


@pytest.mark.parametrize("text", ["", "none", "In 2019", "1 to 2 mm", "Landsat8 B4", "." * 10**5, "9" * 10**5 + "x"])
def test_no_value_or_several(text):
    found = read_value(text, ASKED)
    assert found is None or found.number == float("inf")


def test_tolerances_and_units():
    truth = [read_value("12.51mm")] * 6 + [None]
    said = ["12.51mm", "12.60", "13mm", "13.6mm", "12.51Pa", "", "4"]
    scores = value_scores([read_value(text) for text in said], truth)
    right = {name: score.per_item.tolist() for name, score in scores.items()}
    assert right["value_within_1"] == [1, 1, 0, 0, 0, 0]
    assert right["value_within_5"] == [1, 1, 1, 0, 0, 0]
    assert right["value_within_10"] == [1, 1, 1, 1, 0, 0]
    assert right["unit_accuracy"] == [1, 0, 1, 1, 0, 0]
    assert all(score.n == 6 and len(score.sums) == 7 for score in scores.values())
    near = value_scores([read_value("-0.014"), read_value("-0.016")], [read_value("-0.01")] * 2)
    assert near["value_within_1"].per_item.tolist() == [1, 0]  # half of the last decimal
