"""Charts as SVG, made here: bars of sales by day and channel, stock against cover.

What belongs here: shapes and their places. Each chart has a title and its figures as text, for who cannot see it.
Colours are classes of the style sheet, since the pages allow no styles inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import ceil, log10

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 560, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 10, 26
_COLOURS = 6


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: its drawing, and (name, class of its colour) of each series."""

    svg: Markup
    legend: Sequence[tuple[str, str]]


def stacked_bars(days: Sequence[date], values: Mapping[str, Mapping[date, Decimal]], *, title: str) -> Chart:
    """Return bars of each day, one part for each series; what went back that day is not drawn below zero.

    Args:
        days: every day, in order.
        values: series -> day -> value.
        title: what it shows, for readers of the page who cannot see it.
    """
    totals = [sum((_drawn(series, day) for series in values.values()), Decimal(0)) for day in days]
    top = _round_up(max(totals, default=Decimal(0)))
    step = Decimal(_WIDTH - _LEFT - _RIGHT) / max(1, len(days))
    legend = [(name, f"c{number % _COLOURS}") for number, name in enumerate(values)]
    parts = [_grid(top)]
    for number, day in enumerate(days):
        x, below = _LEFT + step * number, Decimal(0)
        for (name, colour), series in zip(legend, values.values(), strict=True):
            value = _drawn(series, day)
            if value:
                y, height = _y(below + value, top), _y(below, top) - _y(below + value, top)
                said = escape(f"{day:%d %b} · {name}: {value:,.2f}")
                parts.append(
                    f'<rect class="{colour}" x="{x + 2:.1f}" y="{y:.1f}" width="{max(step - 4, Decimal(1)):.1f}" '
                    f'height="{height:.1f}"><title>{said}</title></rect>'
                )
                below += value
        if number % 7 == (len(days) - 1) % 7:
            at, anchor = (x + step, "end") if number == len(days) - 1 else (x + step / 2, "middle")
            parts.append(f'<text x="{at:.1f}" y="{_HEIGHT - 8}" text-anchor="{anchor}">{day:%d %b}</text>')
    return Chart(_svg(parts, title, _HEIGHT), legend)


def _drawn(series: Mapping[date, Decimal], day: date) -> Decimal:
    return max(series.get(day, Decimal(0)), Decimal(0))


def cover_bars(rows: Sequence[tuple[str, int, Decimal]], *, title: str, unit: str) -> Chart:
    """Return one line per SKU: (SKU, units there, days that they last at the present pace)."""
    height = 26 * len(rows) + 8
    longest = max((days for _, _, days in rows), default=Decimal(1)) or Decimal(1)
    span = Decimal(_WIDTH - 150 - 130)
    parts: list[str] = []
    for number, (sku, units, days) in enumerate(rows):
        y = 26 * number + 6
        colour = "c4" if days < 7 else ("c1" if days < 21 else "c0")
        width = max(Decimal(2), span * min(max(days, Decimal(0)), longest) / longest)
        name = sku if len(sku) <= 18 else f"{sku[:17]}…"
        parts.append(
            f'<text x="140" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="{colour}" x="150" y="{y}" width="{width:.1f}" height="17" rx="3"/>'
            f'<text x="{150 + width + 8:.1f}" y="{y + 13}">{days:,.0f} {escape(unit)} · {units:,}</text>'
        )
    return Chart(_svg(parts, title, height), ())


def _svg(parts: Sequence[str], title: str, height: int) -> Markup:
    return Markup(  # noqa: S704 (every text in it went through escape)
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _grid(top: Decimal) -> str:
    lines = []
    for quarter in range(5):
        value = top * quarter / 4
        y = _y(value, top)
        lines.append(
            f'<line class="grid-line" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>'
        )
    return "".join(lines)


def _y(value: Decimal, top: Decimal) -> Decimal:
    return Decimal(_HEIGHT - _BOTTOM) - Decimal(_HEIGHT - _TOP - _BOTTOM) * value / top


def _round_up(value: Decimal) -> Decimal:
    """Return the next number that looks round: 1, 2, 4, 5 or 8 times a power of ten."""
    if value <= 0:
        return Decimal(4)
    power = Decimal(10) ** (ceil(log10(value)) - 1)
    return next((power * each for each in (1, 2, 4, 5, 8) if power * each >= value), power * 10)


def _short(value: Decimal) -> str:
    for size, sign in ((Decimal(1_000_000), "M"), (Decimal(1_000), "k")):
        if value >= size:
            return f"{(value / size).normalize():f}{sign}"
    return f"{value.normalize():f}"
