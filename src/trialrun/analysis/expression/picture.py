"""Pictures for print and page: one style, colours that colour-blind readers tell apart, labels that do not overlap.

Colours: Okabe M, Ito K (2008) "Color Universal Design". Colour is never the only sign: direction is also shown by side,
shape or sign.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.text import Annotation

Floats = NDArray[np.float64]

UP, DOWN, NONE, INK = "#D55E00", "#0072B2", "#9A9A9A", "#222222"
BEFORE, AFTER = "#56B4E9", "#B24700"
# Width of a text block of A4 with 2.5 cm margins, in inches.
WIDTH = 6.3
_DPI = 200
_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.hashsalt": "trialrun",
    "svg.fonttype": "path",
    # Unhinted letters have the same width at every resolution, so that one layout serves all forms.
    "text.hinting": "none",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture: `name` of its files, `title`, `caption` (also its text alternative), SVG text, PNG bytes."""

    name: str
    title: str
    caption: str
    svg: str
    png: bytes


def start_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of the house style; sizes in inches."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        return figure


def style() -> AbstractContextManager[None]:
    """The house style as a context; axes must be made inside it."""
    return rc_context(_STYLE)


def settle_layout(figure: Figure) -> None:
    """Find the layout once and keep it; saving would find it again for each form."""
    figure.draw_without_rendering()
    figure.set_layout_engine(None)


def spread_sideways(values: Floats, width: float = 0.3) -> Floats:
    """Offsets (values,) within +-width/2 that keep equal values apart; by rank, nothing random."""
    return np.asarray((np.argsort(np.argsort(values)) * 0.618 % 1 - 0.5) * width)


def finish_picture(figure: Figure, name: str, title: str, caption: str) -> Picture:
    """Render to SVG and PNG (200 dots an inch); no date is written, so that equal data give equal files."""
    with rc_context(_STYLE):
        png, svg = io.BytesIO(), io.StringIO()
        settle_layout(figure)
        figure.savefig(png, format="png", dpi=_DPI, metadata={"Software": None})
        figure.savefig(svg, format="svg", dpi=_DPI, metadata={"Date": None, "Creator": None})
    text = svg.getvalue()
    return Picture(name, title, caption, text[text.index("<svg") :], png.getvalue())


def place_labels(
    axes: Axes, x: Floats, y: Floats, labels: Sequence[str], size: float = 7.5, around: Floats | None = None
) -> list[Annotation]:
    """Write labels beside points so that none covers another label, a labelled point, or leaves the axes.

    Labels are placed in the order given, each at the nearest free place on rings around its point, joined to it by a
    line; a label without any free place is left out. `around` (points, 2) are further points, in data units, that
    labels should rather not cover. Call after the limits of the axes are set.
    """
    figure = axes.figure
    assert isinstance(figure, Figure)
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    figure.draw_without_rendering()
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    to_pixels = axes.transData.transform
    points = to_pixels(np.column_stack([x, y]))
    crowd = to_pixels(around) if around is not None and len(around) else np.empty((0, 2))
    frame = axes.get_window_extent(renderer)
    dots_per_point = figure.dpi / 72
    taken: list[Bbox] = []
    lines: list[tuple[Floats, Floats]] = []
    placed: list[Annotation] = []
    angles = np.deg2rad([90, 45, 135, 0, 180, 20, 160, 70, 110, -45, -135, -90, -20, -160])
    for i, label in enumerate(labels):
        text = axes.annotate(label, (x[i], y[i]), fontsize=size, color=INK, annotation_clip=False)
        extent = text.get_window_extent(renderer)
        text.remove()
        width, height = extent.width + 2 * dots_per_point, extent.height + 1 * dots_per_point
        best: tuple[float, Bbox, Floats] | None = None
        for ring in (7, 13, 20, 28, 38, 50):
            for angle in angles:
                direction = np.array([np.cos(angle), np.sin(angle)])
                middle = points[i] + direction * (
                    ring * dots_per_point + np.abs(direction) @ np.array([width, height]) / 2
                )
                half = np.array([width / 2, height / 2])
                box = Bbox.from_extents(*(middle - half), *(middle + half))
                if not _is_free(box, frame, points, taken, lines, points[i], middle):
                    continue
                covered = ((crowd > [box.x0, box.y0]) & (crowd < [box.x1, box.y1])).all(axis=1).sum()
                cost = ring + 12.0 * float(covered)
                if best is None or cost < best[0]:
                    best = (cost, box, middle)
            if best is not None and best[0] <= ring + 6:
                break
        if best is None:
            continue
        _, box, middle = best
        taken.append(box)
        lines.append((points[i], np.clip(points[i], [box.x0, box.y0], [box.x1, box.y1])))
        where = (middle - points[i]) / dots_per_point
        placed.append(
            axes.annotate(
                label,
                (x[i], y[i]),
                xytext=(where[0], where[1]),
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize=size,
                color=INK,
                arrowprops={"arrowstyle": "-", "lw": 0.5, "color": "#555555", "shrinkA": 1, "shrinkB": 2},
                zorder=6,
            )
        )
    return placed


def _is_free(
    box: Bbox,
    frame: Bbox,
    points: Floats,
    taken: list[Bbox],
    lines: list[tuple[Floats, Floats]],
    point: Floats,
    middle: Floats,
) -> bool:
    if box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1:
        return False
    if any(box.overlaps(other) for other in taken):
        return False
    near = np.array([box.x0 - 2, box.y0 - 2]), np.array([box.x1 + 2, box.y1 + 2])
    if ((points > near[0]) & (points < near[1])).all(axis=1).any():
        return False
    if any(_crosses_box(start, end, box) for start, end in lines):
        return False
    if any(_cross(start, end, point, middle) for start, end in lines):
        return False
    return not any(_crosses_box(point, middle, other) for other in taken)


def _crosses_box(start: Floats, end: Floats, box: Bbox) -> bool:
    steps = np.linspace(0.0, 1.0, 24)[:, None]
    path = start + (end - start) * steps
    return bool(((path > [box.x0, box.y0]) & (path < [box.x1, box.y1])).all(axis=1).any())


def _cross(a: Floats, b: Floats, c: Floats, d: Floats) -> bool:
    """Whether the segments a-b and c-d cross."""

    def side(p: Floats, q: Floats, r: Floats) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0


def shorten(text: str, length: int) -> str:
    """The text, with an ellipsis when it is longer than `length` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
