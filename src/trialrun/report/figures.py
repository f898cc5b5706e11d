"""Figures as SVG text: drawn once, without a browser and without the network."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl
import vl_convert

# Okabe and Ito's palette: told apart with every common kind of color blindness. Versions also differ in dash and shape.
COLORS = ("#D55E00", "#0072B2", "#009E73", "#A94F86", "#56B4E9", "#E69F00")
DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
GRADES = ("#f0f0f0", "#c6dbef", "#6baed6", "#2171b5", "#08306b", "#000000")  # light to dark: order without hue
UNKNOWN = "#d9c9a8"
WIDTH, HEIGHT = 330, 190
_TEXT = "#222222"
# A reader's font may be wider than the one that the drawing was measured with.
_PADDING = {"left": 28, "right": 12, "top": 6, "bottom": 6}
_AT_RIGHT_END: Any = {"align": "right", "baseline": "bottom", "dx": -2, "dy": -2, "fontSize": 10}
AnyChart = alt.Chart | alt.LayerChart | alt.FacetChart


def _configured(chart: AnyChart) -> Any:
    font = "system-ui, -apple-system, 'Segoe UI', Arial, sans-serif"
    return (
        chart.configure(font=font, background="transparent", padding=_PADDING)
        .configure_axis(
            labelFontSize=11,
            titleFontSize=11,
            titleFontWeight="normal",
            labelColor=_TEXT,
            titleColor=_TEXT,
            gridColor="#e6e6e6",
            domainColor="#888888",
            tickColor="#888888",
        )
        .configure_legend(labelFontSize=11, titleFontSize=11, orient="bottom", labelColor=_TEXT, titleColor=_TEXT)
        .configure_header(labelFontSize=12, titleFontSize=12, labelColor=_TEXT)
        .configure_view(stroke=None)
    )


def draw_svg(chart: AnyChart) -> str:
    """The chart as an SVG element to stand inside HTML: scales with its box, hidden from screen readers (the page gives
    the words and the numbers beside it), and with identifiers that meet those of no other chart."""
    svg = vl_convert.vegalite_to_svg(_configured(chart).to_json(validate=False))
    width, height = (float(re.search(rf'<svg[^>]* {side}="([\d.]+)"', svg)[1]) for side in ("width", "height"))  # type: ignore[index]
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r' (aria-[a-z]+|role)="[^"]*"', "", svg)
    svg = re.sub(r"(\d+\.\d{2})\d+", r"\1", svg)  # hundredths of a pixel are enough
    svg = _own_identifiers(svg)
    return re.sub(
        r"<svg[^>]*>",
        f'<svg class="chart" viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px" '
        'aria-hidden="true" focusable="false">',
        svg,
        count=1,
    )


def _own_identifiers(svg: str) -> str:
    """Identifiers made from the drawing itself: the drawing library counts them over everything it ever drew, so the
    same figure would come out differently each time."""
    names = list(dict.fromkeys(re.findall(r' id="([^"]+)"', svg)))
    for place, name in enumerate(names):
        svg = svg.replace(f'id="{name}"', f'id="@{place}"').replace(f"#{name})", f"#@{place})")
    mark = hashlib.sha256(svg.encode()).hexdigest()[:10]
    return svg.replace('id="@', f'id="c{mark}-').replace("#@", f"#c{mark}-")


def _version_scale(versions: Sequence[str], kind: str) -> alt.Scale:
    ranges: dict[str, Sequence[Any]] = {"color": COLORS, "dash": DASHES, "shape": SHAPES}
    return alt.Scale(domain=list(versions), range=list(ranges[kind][: len(versions)]))


def draw_course(
    courses: pl.DataFrame,
    versions: Sequence[str],
    unit: str,
    bounds: Sequence[tuple[float, str]] = (),
    tail: str | None = None,
    last_day: int = 84,
) -> str:
    """Median with its 10 to 90 % band over time for each version; `tail` (p01 or p99) as a thin line beside it.

    `courses` has the columns of `derive_course` and `version`. `bounds` are lines of criteria with their names.
    """
    x = (
        alt.X("day:Q")
        .title("day from first dose")
        .scale(domain=[-2, last_day], nice=False)
        .axis(values=list(range(0, last_day + 1, 14)), format="d")
    )
    color = alt.Color("version:N").scale(_version_scale(versions, "color")).legend(None)
    dash = alt.StrokeDash("version:N").scale(_version_scale(versions, "dash")).legend(None)
    y_title = unit
    base = alt.Chart(courses)
    band = base.mark_area(opacity=0.18).encode(
        x=x, y=alt.Y("p10:Q").title(y_title).scale(zero=False), y2="p90:Q", color=color
    )
    median = base.mark_line(strokeWidth=2).encode(x=x, y=alt.Y("median:Q"), color=color, strokeDash=dash)
    layers: list[alt.Chart] = [band, median]
    if tail is not None:
        layers.append(
            base.mark_line(strokeWidth=1, opacity=0.9).encode(x=x, y=alt.Y(f"{tail}:Q"), color=color, strokeDash=dash)
        )
    if bounds:
        lines = pl.DataFrame({"bound": [bound for bound, _ in bounds], "says": [says for _, says in bounds]})
        rule = alt.Chart(lines).mark_rule(color="#000000", strokeWidth=1).encode(y="bound:Q")
        at = alt.Chart(lines).encode(x=alt.value(WIDTH), y="bound:Q", text="says:N")
        halo = at.mark_text(**_AT_RIGHT_END, stroke="#ffffff", strokeWidth=3, opacity=0.8)
        layers += [halo, at.mark_text(**_AT_RIGHT_END, color="#000000")]
        layers.append(rule)
    return draw_svg(alt.layer(*layers).properties(width=WIDTH, height=HEIGHT))


def draw_lymphocytes(course: pl.DataFrame, color_index: int, on: Sequence[tuple[int, int]], last_day: int) -> str:
    """Lymphocytes as a multiple of baseline over time, on a logarithmic scale; days on the drug are shaded.

    `on` are the first and last day of each planned on-period; the white between them is the week off.
    """
    shade = pl.DataFrame(
        {"start": [a for a, _ in on], "end": [b + 1 for _, b in on]}, schema={"start": pl.Int64, "end": pl.Int64}
    )
    x = (
        alt.X("day:Q")
        .title("day from first dose")
        .scale(domain=[-2, last_day], nice=False)
        .axis(values=list(range(0, last_day + 1, 28)), format="d")
    )
    color = COLORS[color_index % len(COLORS)]
    scale = alt.Scale(type="log", domain=[0.01, 3], clamp=True)
    y = (
        alt.Y("median:Q")
        .title("multiple of baseline")
        .scale(scale)
        .axis(values=[0.01, 0.03, 0.1, 0.3, 1, 3], format="~g")
    )
    shading = (
        alt.Chart(shade)
        .mark_rect(color="#dddddd", opacity=0.7)
        .encode(x=alt.X("start:Q").scale(domain=[-2, last_day], nice=False), x2="end:Q")
    )
    base = alt.Chart(course)
    wide = base.mark_area(color=color, opacity=0.15).encode(x=x, y=alt.Y("p10:Q").scale(scale), y2="p90:Q")
    narrow = base.mark_area(color=color, opacity=0.25).encode(x=x, y=alt.Y("p25:Q").scale(scale), y2="p75:Q")
    line = base.mark_line(color=color, strokeWidth=2, point=alt.OverlayMarkDef(size=18, color=color)).encode(x=x, y=y)
    return draw_svg(alt.layer(shading, wide, narrow, line).properties(width=WIDTH, height=HEIGHT))


def draw_rebound(by_cycle: pl.DataFrame, color_index: int) -> str:
    """Median count at the end of the on-period and at the end of the week off, each cycle joined by a line.

    `by_cycle`: columns cycle, phase, value (multiple of baseline).
    """
    color = COLORS[color_index % len(COLORS)]
    phases = ["end of on-period", "end of week off"]
    x = alt.X("cycle:O").title("cycle").axis(labelAngle=0)
    y = alt.Y("value:Q").title("multiple of baseline").scale(zero=True)
    base = alt.Chart(by_cycle)
    links = base.mark_line(color=color, strokeWidth=2).encode(x=x, y=y, detail="cycle:N")
    points = base.mark_point(size=60, strokeWidth=2, color=color, opacity=1).encode(
        x=x,
        y=y,
        shape=alt.Shape("phase:N").scale(domain=phases, range=["circle", "triangle-up"]).title(None),
        fill=alt.Fill("phase:N").scale(domain=phases, range=[color, "#ffffff"]).title(None),
    )
    return draw_svg(alt.layer(links, points).properties(width=WIDTH, height=HEIGHT))


def draw_doses(by_week: pl.DataFrame, states: Sequence[str], weeks: int) -> str:
    """A strip of weeks: how large a share of the participant-days was spent at each dose, resting, held, or ended."""
    chart = (
        alt.Chart(by_week)
        .mark_rect(stroke="#ffffff", strokeWidth=0.5)
        .encode(
            x=alt.X("week:O")
            .title("week")
            .axis(
                labelAngle=0,
                values=[week for week in range(1, weeks + 1) if week % (4 if weeks <= 24 else 8) == 1],
                ticks=False,
            ),
            y=alt.Y("state:N").sort(list(states)).title(None),
            color=alt.Color("share:Q")
            .scale(domain=[0, 1], scheme="blues")
            .title("share of participant-days")
            .legend(format=".0%", gradientLength=160, values=[0, 0.5, 1]),
        )
    )
    return draw_svg(chart.properties(width=WIDTH - 50, height=20 * len(states)))


def draw_grades(grades: pl.DataFrame, order: Sequence[str]) -> str:
    """One stacked bar an event: the share of participants with each worst grade. Columns label, grade, share, place."""
    names = ["0", "1", "2", "3", "4", "5", "not assessable"]
    present = [name for name in names if name in set(grades["grade"].to_list())]
    palette = dict(zip(names, (*GRADES, UNKNOWN), strict=True))
    chart = (
        alt.Chart(grades)
        .mark_bar(stroke="#666666", strokeWidth=0.4)
        .encode(
            y=alt.Y("label:N").sort(list(order)).title(None).axis(labelLimit=150),
            x=alt.X("share:Q").title("share of participants").axis(format=".0%").scale(domain=[0, 1]),
            color=alt.Color("grade:N")
            .scale(domain=present, range=[palette[name] for name in present])
            .title("worst grade")
            .legend(columns=7, symbolStrokeColor="#666666", symbolStrokeWidth=0.5),
            order=alt.Order("place:Q"),
        )
    )
    return draw_svg(chart.properties(width=WIDTH - 70, height=26 * len(order)))


def draw_shares(shares: pl.DataFrame, versions: Sequence[str], categories: Sequence[str]) -> str:
    """Bars side by side: the share of each category under each version. Columns version, category, share."""
    chart = (
        alt.Chart(shares)
        .mark_bar()
        .encode(
            x=alt.X("category:N").sort(list(categories)).title(None).axis(labelAngle=0, labelLimit=90),
            xOffset=alt.XOffset("version:N").sort(list(versions)),
            y=alt.Y("share:Q").title("share of participants").axis(format=".0%"),
            color=alt.Color("version:N").scale(_version_scale(versions, "color")).title(None),
        )
    )
    return draw_svg(chart.properties(width=WIDTH, height=HEIGHT))


def draw_curves(curves: pl.DataFrame, versions: Sequence[str], title: str, last_day: int) -> str:
    """Step curves over days with their bands. Columns version, day, value, low, high (shares)."""
    x = alt.X("day:Q").title("day from first dose").scale(domain=[0, last_day], nice=False)
    color = alt.Color("version:N").scale(_version_scale(versions, "color")).legend(None)
    dash = alt.StrokeDash("version:N").scale(_version_scale(versions, "dash")).legend(None)
    base = alt.Chart(curves)
    y = alt.Y("value:Q").title(title).axis(format=".0%").scale(domain=[0, 1])
    band = base.mark_area(opacity=0.15, interpolate="step-after").encode(x=x, y="low:Q", y2="high:Q", color=color)
    line = base.mark_line(interpolate="step-after", strokeWidth=2).encode(x=x, y=y, color=color, strokeDash=dash)
    return draw_svg(alt.layer(band, line).properties(width=WIDTH, height=HEIGHT))


def draw_order(
    cells: pl.DataFrame, rows: Sequence[str], columns: Sequence[str], row_title: str | None, column_title: str | None
) -> str:
    """Probabilities as a picture with numbers: columns row, column, value (0 to 1, null: equal), says (percent).

    One half is white; blue is more probable, orange less.
    """
    side = 46
    x = alt.X("column:N").sort(list(columns)).title(column_title).axis(labelAngle=-30, labelLimit=160, orient="bottom")
    y = alt.Y("row:N").sort(list(rows)).title(row_title).axis(labelLimit=230, titlePadding=16)
    color = (
        alt.Color("value:Q")
        .scale(domain=[0, 0.5, 1], range=["#e8833a", "#ffffff", "#5fa8dc"], interpolate="rgb")
        .title("probability")
        .legend(format=".0%", gradientLength=160, values=[0, 0.5, 1])
    )
    base = alt.Chart(cells).encode(x=x, y=y)
    fields = base.mark_rect(stroke="#bbbbbb", strokeWidth=0.5).encode(color=color)
    numbers = base.mark_text(fontSize=12, color="#1b1f24").encode(text="says:N")
    height = side * len(rows) if row_title is not None else 24 * len(rows)
    width = side * len(columns) + (20 if row_title is not None else 60)
    return draw_svg(alt.layer(fields, numbers).properties(width=width, height=height))
