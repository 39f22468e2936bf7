"""Small line charts as inline SVG that take their colours from the page.

Knows points and scales. Knows nothing of what they mean. Every text goes through escaping.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from markupsafe import Markup

from distrust.report.text import inert

Points = Sequence[tuple[float, float]]
Spans = Sequence[tuple[float, Mapping[str, float]]]  # x, and of y `value`, `low` and `high`
Point = TypeVar("Point")
MOST_POINTS = 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 14, 10, 40


def lines(series: Mapping[str, Points], x_label: str, width: int = 340, height: int = 200) -> Markup:
    """Some curves over one axis; the k-th is styled by the class ``line-k``."""
    across = [x for curve in series.values() for x, _ in curve]
    y_ticks = ticks([y for curve in series.values() for _, y in curve])
    x_ticks = [tick for tick in ticks(across) if min(across) <= tick <= max(across)]
    at = _Axes((min(across), max(across)), (y_ticks[0], y_ticks[-1]), x_ticks, y_ticks, width, height)
    body = Markup("").join(
        _curve([at(x, y) for x, y in _thinned(curve)], f"line-{k}") for k, curve in enumerate(series.values())
    )
    return at.frame(x_label, body)


def banded(series: Mapping[str, Spans], x_label: str, width: int = 340, height: int = 200) -> Markup:
    """Some curves over one axis, each before its intervals; the k-th by the classes ``line-k`` and ``band-k``."""
    across = [x for curve in series.values() for x, _ in curve]
    y_ticks = ticks([one[end] for curve in series.values() for _, one in curve for end in ("low", "high")])
    x_ticks = [tick for tick in ticks(across) if min(across) <= tick <= max(across)]
    at = _Axes((min(across), max(across)), (y_ticks[0], y_ticks[-1]), x_ticks, y_ticks, width, height)
    bands, curves = Markup(""), Markup("")
    for k, curve in enumerate(_thinned(curve) for curve in series.values()):
        edge = [at(x, one["high"]) for x, one in curve] + [at(x, one["low"]) for x, one in reversed(curve)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in edge)
        bands += Markup('<polygon class="band-{}" points="{}"/>').format(k, path)
        curves += _curve([at(x, one["value"]) for x, one in curve], f"line-{k}")
    return at.frame(x_label, bands + curves)


def diagram(series: Mapping[str, Sequence[Mapping[str, float]]], width: int = 260, height: int = 250) -> Markup:
    """Reliability diagrams: each bin's accuracy over its confidence, on the diagonal where confidence is deserved."""
    unit = [0.0, 0.5, 1.0]
    at = _Axes((0, 1), (0, 1), unit, unit, width, height)
    (x0, y0), (x1, y1) = at(0, 0), at(1, 1)
    body = Markup('<line class="ideal" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(x0, y0, x1, y1)
    for k, bins in enumerate(series.values()):
        total = sum(one["items"] for one in bins)
        placed = [at(one["confidence"], one["accuracy"]) for one in bins]
        body += _curve(placed, f"line-{k}")
        for (x, y), one in zip(placed, bins, strict=True):
            radius = 2 + 7 * math.sqrt(one["items"] / total)
            body += Markup('<circle class="dot-{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>').format(k, x, y, radius)
    return at.frame("confidence", body)


def crossing(
    curve: Sequence[tuple[float, Mapping[str, float], float]],
    level: Mapping[str, float],
    at_x: float,
    x_label: str,
    width: int = 400,
    height: int = 240,
) -> Markup:
    """A rising curve over a logarithm, and where it reaches a level.

    Args:
        curve: points of x, an interval of y (`value`, `low`, `high`), and the height of the curve there.
        level: the interval of y that is looked for; at_x: where the curve reaches it.
    """
    across = [x for x, _, _ in curve]
    y_ticks = ticks([one[end] for one in (level, *(y for _, y, _ in curve)) for end in ("low", "high")])
    marks = _apart(across)
    at = _Axes((across[0], across[-1]), (y_ticks[0], y_ticks[-1]), marks, y_ticks, width, height, logarithm=True)
    left, right = across[0], across[-1]
    (x0, top), (x1, bottom) = at(left, level["high"]), at(right, level["low"])
    band = '<rect class="band" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
    body = Markup(band).format(x0, top, x1 - x0, bottom - top)
    body += _curve([at(left, level["value"]), at(right, level["value"])], "line-0")
    body += _curve([at(x, y) for x, _, y in curve], "line-1")
    for x, one, _ in curve:
        body += _curve([at(x, one["low"]), at(x, one["high"])], "whisker")
        body += Markup('<circle class="dot-1" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(*at(x, one["value"]))
    (x, y), base = at(at_x, level["value"]), at(at_x, y_ticks[0])[1]
    body += Markup('<line class="ideal" x1="{0:.1f}" y1="{1:.1f}" x2="{0:.1f}" y2="{2:.1f}"/>').format(x, y, base)
    body += Markup('<circle class="dot-0" cx="{:.1f}" cy="{:.1f}" r="5"/>').format(x, y)
    return at.frame(x_label, body)


def scatter(points: Sequence[tuple[float, float, str, bool]], x_label: str, width: int = 400, height: int = 260) -> Markup:
    """Named points (x, y, name, filled); an axis starts at 0 where that costs little room."""
    across, up = [0.0, *(x for x, *_ in points)], [y for _, y, *_ in points]
    x_ticks, y_ticks = ticks(across), ticks(up)
    at = _Axes((x_ticks[0], x_ticks[-1]), (y_ticks[0], y_ticks[-1]), x_ticks, y_ticks, width, height)
    body = Markup("")
    for x, y, name, filled in sorted(points, key=lambda point: point[3]):
        left, top = at(x, y)
        body += Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="5"/>').format("dot-0" if filled else "ring", left, top)
        before = left > width * 0.6  # the name stands where there is room
        place = (left - 9, "y") if before else (left + 9, "name")
        body += Markup('<text x="{:.1f}" y="{:.1f}" class="{}">{}</text>').format(
            place[0], top + 4, place[1], inert(name, 28)
        )
    return at.frame(x_label, body)


def _apart(values: Sequence[float], least: float = 0.09) -> list[float]:
    """Those of some rising values, from the last to the first, that stand apart over their logarithm."""
    whole = math.log(values[-1] / values[0])
    kept = [values[-1]]
    for value in reversed(values[:-1]):
        if math.log(kept[-1] / value) >= least * whole:
            kept.append(value)
    return kept[::-1]


def ticks(values: Sequence[float], count: int = 4) -> list[float]:
    """Round numbers that span some values: steps of 1, 2 or 5 times a power of ten."""
    low, high = min(values), max(values)
    if high - low <= 1e-12 * max(abs(low), abs(high), 1e-300):
        spare = abs(low) / 10 or 1.0
        low, high = low - spare, high + spare
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


@dataclass(frozen=True)
class _Axes:
    """From values to coordinates of one drawing."""

    x: tuple[float, float]  # the values at its left and right edge
    y: tuple[float, float]
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    width: int
    height: int
    logarithm: bool = False  # of x

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        first, last, here = (math.log(one) if self.logarithm else one for one in (*self.x, x))
        across = (here - first) / ((last - first) or 1)
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return _LEFT + across * (self.width - _LEFT - _RIGHT), _TOP + (1 - up) * (self.height - _TOP - _BOTTOM)

    def frame(self, x_label: str, body: Markup) -> Markup:
        """The drawing: grid and numbers, then the body."""
        grid = Markup("")
        left, right, base = _LEFT, self.width - _RIGHT, self.height - _BOTTOM
        for tick in self.y_ticks:
            level = self(self.x[0], tick)[1]
            grid += Markup('<line class="grid" x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}"/>').format(left, level, right, level)
            grid += Markup('<text x="{}" y="{:.1f}" class="y">{}</text>').format(left - 7, level + 4, _number(tick))
        for tick in self.x_ticks:
            across = self(tick, self.y[0])[0]
            grid += Markup('<text x="{:.1f}" y="{}" class="x">{}</text>').format(across, base + 17, _number(tick))
        grid += Markup('<text x="{}" y="{}" class="x">{}</text>').format((left + right) / 2, base + 33, x_label)
        drawing = Markup('<svg class="chart" viewBox="0 0 {} {}" aria-hidden="true">{}{}</svg>')
        return drawing.format(self.width, self.height, grid, body)


def _thinned(curve: Sequence[Point]) -> Sequence[Point]:
    stride = -(-len(curve) // MOST_POINTS)
    return [*curve[::stride], curve[-1]] if stride > 1 else curve


def _curve(points: Points, style: str) -> Markup:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup('<polyline class="{}" points="{}"/>').format(style, path)


def _number(value: float) -> str:
    if value and (abs(value) >= 1e5 or abs(value) < 1e-3):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.6g}"
