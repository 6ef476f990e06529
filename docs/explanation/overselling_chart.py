"""Draws overselling.svg from overselling.json; run it from any folder with the hub's own Python.

Make the figures first: `oms-hub simulate stock --json --seed 1 --runs 400 > docs/explanation/overselling.json`
"""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
COLOURS = {
    "blind_set": "#9e2a2b",
    "pull_then_set": "#d1603d",
    "compare_and_set": "#e0a458",
    "delta": "#a8a8a8",
    "in_flight": "#5b8e9b",
    "hold_back": "#1b4965",
}


def main() -> None:
    """Write the chart: units sold twice and demand refused, per 10,000 units, for each way of pushing."""
    mpl.rcParams["svg.hashsalt"] = "overselling"
    rows = json.loads((HERE / "overselling.json").read_text(encoding="utf-8"))["scenarios"]
    names = list(dict.fromkeys(row["name"] for row in rows))
    figure, panels = plt.subplots(1, 2, figsize=(11, 7), sharey=True)
    height = 0.8 / len(COLOURS)
    for panel, key, title in (
        (panels[0], "oversold_per_10k", "Units sold twice, per 10,000 (log)"),
        (panels[1], "refused_per_10k", "Buyers refused while stock was left, per 10,000 (log)"),
    ):
        for index, (strategy, colour) in enumerate(COLOURS.items()):
            figures = {row["name"]: row[key] for row in rows if row["strategy"] == strategy}
            places = [position + (index - 2.5) * height for position in range(len(names))]
            panel.barh(places, [figures[name] for name in names], height, color=colour, label=strategy)
        panel.set_xscale("symlog", linthresh=1)
        panel.set_xlim(left=0)
        panel.set_title(title, fontsize=11)
        panel.grid(axis="x", alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), frameon=False, ncols=6, loc="lower center")
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(HERE / "overselling.svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
