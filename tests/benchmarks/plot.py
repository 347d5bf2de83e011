"""A bar chart as SVG: medians as bars, the middle half as whiskers. It knows nothing of what is shown."""

from collections.abc import Sequence
from html import escape

from tests.benchmarks.figures import Spread

WIDTH, LEFT, RIGHT, TOP, ROW = 760, 250, 90, 54, 26
INK, PAPER, OURS, OTHERS = "#1f2328", "#ffffff", "#0b6bcb", "#a9b4c0"


def bars(title: str, subtitle: str, unit: str, rows: Sequence[tuple[str, Spread]], ours: Sequence[str]) -> str:
    """Return the chart; the bars whose labels are in `ours` stand out."""
    height = TOP + ROW * len(rows) + 16
    scale = (WIDTH - LEFT - RIGHT) / max(spread.high for _, spread in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        "<style>text { font: 12px sans-serif } path { fill: none; stroke: #1f2328 }</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
        f'<text x="16" y="22" style="font: bold 15px sans-serif">{escape(title)}</text>',
        f'<text x="16" y="40" fill="#59636e">{escape(subtitle)}</text>',
    ]
    for number, (label, spread) in enumerate(rows):
        y = TOP + number * ROW
        median, low, high = (LEFT + value * scale for value in (spread.median, spread.low, spread.high))
        middle, fill = y + ROW / 2, OURS if label in ours else OTHERS
        parts += [
            f'<text x="{LEFT - 8}" y="{middle + 4}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LEFT}" y="{y + 4}" width="{median - LEFT:.1f}" height="{ROW - 8}" fill="{fill}"/>',
            f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8"/>',
            f'<text x="{max(median, high) + 8:.1f}" y="{middle + 4}">{spread.median:.0f} {escape(unit)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
