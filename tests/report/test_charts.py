"""Charts as SVG: round ticks, curves that stay small, points where they belong, and names that are only text."""

import math
import re
import xml.etree.ElementTree as ET

import pytest

from distrust.report.charts import crossing, diagram, lines, scatter, ticks


def found(drawn, kind):
    """Elements of a drawing by tag and class, in order."""
    tag, _, style = kind.partition(".")
    return [one for one in ET.fromstring(str(drawn)).iter(tag) if one.get("class") == style]


@pytest.mark.parametrize("values", [[0.0], [3.0, 3.0], [1e-9, 2e-9], [-5, 5], [0.1, 0.35], [1e6, 3e6]])
def test_ticks_are_round_and_span_the_values(values):
    found = ticks(values)
    assert found[0] <= min(values) + 1e-12 and found[-1] >= max(values) - 1e-12
    assert 2 <= len(found) <= 8 and found == sorted(set(found))


def test_a_long_curve_is_thinned_and_keeps_its_end():
    drawn = lines({"loss": [(float(x), 1 / (x + 1)) for x in range(100_000)]}, "step")
    points = re.search(r'points="([^"]+)"', drawn)
    assert points is not None and len(points.group(1).split()) <= 202
    assert points.group(1).split()[-1].startswith("326.0,")  # the right edge
    assert "&lt;b&gt;" in lines({"a": [(0, 1), (1, 2)]}, "<b>")


def test_a_diagrams_dots_lie_by_confidence_and_weigh_by_items():
    bins = [{"items": 75, "confidence": 0.5, "accuracy": 0.25}, {"items": 25, "confidence": 1.0, "accuracy": 1.0}]
    drawn = diagram({"student": bins}, width=158, height=150)  # so that a share is 100 wide and 100 high
    dots = found(drawn, "circle.dot-0")
    assert [(one.get("cx"), one.get("cy")) for one in dots] == [("94.0", "85.0"), ("144.0", "10.0")]
    assert [float(one.get("r")) for one in dots] == pytest.approx([2 + 7 * math.sqrt(0.75), 5.5], abs=0.06)
    (ideal,) = found(drawn, "line.ideal")
    assert [ideal.get(end) for end in ("x1", "y1", "x2", "y2")] == ["44.0", "110.0", "144.0", "10.0"]


def test_a_crossing_is_over_a_logarithm():
    points = [(10, {"value": 0.5, "low": 0.4, "high": 0.6}, 0.5), (1000, {"value": 0.8, "low": 0.7, "high": 0.9}, 0.8)]
    drawn = crossing(points, {"value": 0.65, "low": 0.6, "high": 0.7}, 100, "labels", width=158)
    (where,) = found(drawn, "circle.dot-0")
    assert where.get("cx") == "94.0", "a hundred is halfway from ten to a thousand"
    assert [one.get("cx") for one in found(drawn, "circle.dot-1")] == ["44.0", "144.0"]
    assert len(found(drawn, "polyline.whisker")) == 2 and len(found(drawn, "rect.band")) == 1


def test_scattered_names_stand_where_there_is_room_and_are_inert():
    drawn = scatter([(1.0, 0.5, "<left>", True), (9.0, 0.6, "right", False)], "money", width=158)
    assert [one.text for one in found(drawn, "text.name")] == ["<left>"] and "<left>" not in drawn
    assert [one.text for one in found(drawn, "text.y")][-1] == "right"
    assert len(found(drawn, "circle.ring")) == 1 == len(found(drawn, "circle.dot-0"))


def test_one_point_is_a_chart_too():
    (curve,) = found(lines({"a": [(3.0, 3.0)]}, "step"), "polyline.line-0")
    x, y = map(float, curve.get("points").split(","))
    assert 44 <= x <= 326 and 10 <= y <= 160
