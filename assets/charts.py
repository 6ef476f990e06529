"""Small pictures for materialisations: drawn without a screen, kept in the event as base64, so kept small."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from io import BytesIO

import dagster as dg

MAX_BYTES = 20_000
_SIZE_INCHES = (6.4, 2.8)
_DOTS_PER_INCH = 80
_COLOURS = ("#2f5d8a", "#d98e32", "#5f9e6e", "#a8554f", "#7b6ba8", "#8a8a8a")


def stacked_bars(days: Sequence[date], series: Mapping[str, Sequence[Decimal]], *, title: str) -> bytes:
    """Return a PNG with one bar per day, each made of one piece per series.

    Args:
        days: the days in order.
        series: name -> one amount per day; amounts below zero hang below the line.
        title: stands above, with the unit.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second that runs without a picture are spared

    figure = Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    above, below = [0.0] * len(days), [0.0] * len(days)
    for number, (name, amounts) in enumerate(series.items()):
        heights = [float(amount) for amount in amounts]
        bottoms = [above[i] if height >= 0 else below[i] for i, height in enumerate(heights)]
        axes.bar(range(len(days)), heights, 0.75, bottoms, label=name, color=_COLOURS[number % len(_COLOURS)])
        above = [top + max(height, 0.0) for top, height in zip(above, heights, strict=True)]
        below = [bottom + min(height, 0.0) for bottom, height in zip(below, heights, strict=True)]
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xticks(range(len(days)), [f"{day:%d %b}" for day in days], fontsize=7, rotation=45)
    axes.tick_params(axis="y", labelsize=8)
    axes.yaxis.set_major_formatter(lambda amount, _position: f"{amount:,.0f}")
    axes.axhline(0, color="#444444", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    file = BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def picture(png: bytes, text: str) -> dg.MarkdownMetadataValue:
    """Return a picture that Dagster's UI shows, or the text that stands for it where it would be too big an event."""
    if len(png) > MAX_BYTES:
        return dg.MetadataValue.md(text)
    return dg.MetadataValue.md(f"![{text}](data:image/png;base64,{b64encode(png).decode()})")
