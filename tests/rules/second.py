"""A second, independent implementation of the rule language: Polars expressions over long tables.

Everything that a rule remembers is computed anew by scanning all that was entered up to the day asked. Sentences are
made by the tests as objects that know both their text and what they mean; nothing of the package is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

WORST = {"neutrophils": "low", "platelets": "low", "alt": "high", "lymphocytes": None}
CURRENT = {"neutrophils": 3, "platelets": 2, "alt": 3, "lymphocytes": 4, "b_cell_cll": 30, "flare": 2, "infection": 0}


@dataclass
class Entered:
    """Everything entered of `n` subjects, as long tables."""

    n: int
    results: pl.DataFrame  # subject, day, term, value, low, high
    events: pl.DataFrame  # subject, known, term, start, grade, end
    reviews: pl.DataFrame  # subject, day
    cycles: pl.DataFrame  # subject, day
    first_dose: pl.DataFrame  # subject, day
    states: pl.DataFrame  # subject, dose, cycle, response, consented
    memory: dict[object, pl.DataFrame] = field(default_factory=dict)

    def subjects(self) -> pl.DataFrame:
        return pl.DataFrame({"subject": range(self.n)}, schema={"subject": pl.Int64})


def _of_day(entered: Entered, term: str, day: int) -> pl.DataFrame:
    """The value of each day up to `day`: subject, day, value (null: contradictory), low, high."""
    results = entered.results.filter((pl.col("term") == term) & (pl.col("day") <= day))
    worst = WORST.get(term)
    value = {
        "low": pl.col("value").min(),
        "high": pl.col("value").max(),
        None: pl.when(pl.col("value").n_unique() == 1).then(pl.col("value").first()),
    }[worst]
    counts = pl.col("value") == pl.col("of_day")
    return (
        results.join(results.group_by("subject", "day").agg(value.alias("of_day")), on=["subject", "day"])
        .group_by("subject", "day")
        .agg(
            pl.col("of_day").first().alias("value"),
            pl.col("low").filter(counts).max(),
            pl.col("high").filter(counts).min(),
        )
    )


def _opens(entered: Entered, window: str, day: int) -> pl.DataFrame:
    """subject, opens: the first day of the window, null where it has not begun."""
    if window == "this cycle":
        begun = entered.cycles.filter(pl.col("day") <= day).group_by("subject").agg(pl.col("day").max().alias("opens"))
    elif window == "since first dose":
        begun = entered.first_dose.filter(pl.col("day") <= day).select("subject", pl.col("day").alias("opens"))
    else:
        length = 10**6 if window in ("ever", "") else int(window.split()[2])
        begun = entered.subjects().with_columns(opens=pl.lit(day - length, dtype=pl.Int64))
    return entered.subjects().join(begun.with_columns(pl.col("opens").cast(pl.Int64)), on="subject", how="left")


@dataclass(frozen=True)
class Number:
    """A quantity of a test. `what`: current, last, first, baseline, lowest, highest, change, percent change."""

    what: str
    term: str
    window: str = ""

    @property
    def text(self) -> str:
        if self.what == "current":
            return self.term
        if self.what in ("change", "percent change"):
            return f"{self.what} of {self.term} from baseline"
        return f"{self.what} {self.term} {self.window}".strip()

    def at(self, entered: Entered, day: int) -> pl.DataFrame:
        """subject, value, low, high, least, most as of a day."""
        if self.what in ("change", "percent change"):
            now = Number("current", self.term).at(entered, day).select("subject", now="value")
            both = Number("baseline", self.term).at(entered, day).join(now, on="subject", how="left")
            moved = pl.col("now") - pl.col("value")
            if self.what == "percent change":
                moved = pl.when(pl.col("value") != 0).then(100 * moved / pl.col("value"))
            found = both.select("subject", value=moved, low=pl.lit(None, pl.Float64), high=pl.lit(None, pl.Float64))
        elif self.what in ("lowest", "highest"):
            found = self._extreme(entered, day)
        else:
            days = _of_day(entered, self.term, day)
            if self.what == "baseline":
                dosed = entered.first_dose.filter(pl.col("day") <= day).rename({"day": "dosed"})
                days = days.join(dosed, on="subject").filter(pl.col("day") <= pl.col("dosed"))
            best = pl.col("day").min() if self.what == "first" else pl.col("day").max()
            found = days.filter(pl.col("day") == best.over("subject"))
            if self.what == "current":
                found = found.filter(day - pl.col("day") <= CURRENT[self.term])
            found = found.select("subject", "value", "low", "high")
        return (
            entered.subjects().join(found, on="subject", how="left")
            .with_columns(least=pl.col("value"), most=pl.col("value"))
        )  # fmt: skip

    def _extreme(self, entered: Entered, day: int) -> pl.DataFrame:
        results = (
            entered.results.filter((pl.col("term") == self.term) & (pl.col("day") <= day))
            .join(_opens(entered, self.window, day), on="subject")
            .filter(pl.col("day") >= pl.col("opens"))
        )
        best = pl.col("value").min() if self.what == "lowest" else pl.col("value").max()
        results = results.filter(pl.col("value") == best.over("subject"))
        results = results.filter(pl.col("day") == pl.col("day").max().over("subject"))
        return results.group_by("subject").agg(pl.col("value").first(), pl.col("low").max(), pl.col("high").min())


@dataclass(frozen=True)
class Happened:
    """A quantity of an event. `what`: grade, worst grade, count, days since."""

    what: str
    term: str
    window: str = ""

    @property
    def text(self) -> str:
        return f"{self.what}{'' if self.what == 'days since' else ' of'} {self.term} {self.window}".strip()

    def at(self, entered: Entered, day: int) -> pl.DataFrame:
        asked = entered.reviews.filter(pl.col("day") <= day).group_by("subject").agg(asked=pl.col("day").max())
        frame = (
            _opens(entered, self.window, day)
            .join(asked, on="subject", how="left")
            .with_columns(sure=(day - pl.col("asked") <= CURRENT[self.term]).fill_null(False))
        )
        events = entered.events.filter((pl.col("term") == self.term) & (pl.col("known") <= day))
        events = events.with_columns(pl.col("end").fill_null(10**6)).join(
            frame.select("subject", "opens"), on="subject"
        )
        if self.what == "count":
            counted = events.filter(pl.col("start") >= pl.col("opens")).group_by("subject").agg(seen=pl.len())
            frame = frame.join(counted, on="subject", how="left").with_columns(pl.col("seen").fill_null(0).cast(float))
            settled = pl.col("sure") & pl.col("opens").is_not_null()
            bounds = {"least": pl.col("seen"), "most": pl.when(settled).then(pl.col("seen")).otherwise(float("inf"))}
        elif self.what == "days since":
            last = events.group_by("subject").agg(seen=(day - pl.col("start")).min().cast(pl.Float64))
            frame = frame.join(last, on="subject", how="left").with_columns(pl.col("seen").fill_null(float("inf")))
            bounds = {"least": pl.when("sure").then("seen").otherwise(0.0), "most": pl.col("seen")}
        else:
            first = pl.lit(day) if self.what == "grade" else pl.col("opens")
            on = events.filter(pl.col("end") >= first)
            worst = on.group_by("subject").agg(
                worst=pl.col("grade").max(), ungraded=pl.col("grade").is_null().any(), any=pl.lit(True)
            )
            frame = frame.join(worst, on="subject", how="left")
            low = pl.when(pl.col("ungraded").fill_null(False)).then(1.0).otherwise(0.0)
            open_ended = pl.col("ungraded").fill_null(False)
            if self.what == "grade":
                open_ended |= ~pl.col("sure") & pl.col("any").is_null()
            else:
                open_ended |= ~pl.col("sure") | pl.col("opens").is_null()
            least = pl.max_horizontal(pl.col("worst").fill_null(0.0), low)
            bounds = {"least": least, "most": pl.when(open_ended).then(5.0).otherwise(least)}
        return frame.with_columns(**bounds).select(
            "subject", "least", "most", value=pl.when(pl.col("least") == pl.col("most")).then("least"),
            low=pl.lit(None, pl.Float64), high=pl.lit(None, pl.Float64),
        )  # fmt: skip


@dataclass(frozen=True)
class State:
    """A state of the subject."""

    term: str

    @property
    def text(self) -> str:
        return self.term

    def at(self, entered: Entered, day: int) -> pl.DataFrame:
        value = pl.col(self.term)
        empty = pl.lit(None, pl.Float64)
        return entered.states.select("subject", value=value, low=empty, high=empty, least=value, most=value)


Quantity = Number | Happened | State


def _verdict(frame: pl.DataFrame, verdict: pl.Expr) -> pl.DataFrame:
    return frame.select("subject", verdict=verdict.cast(pl.Boolean)).sort("subject")


def _compared(operator: str, least: pl.Expr, most: pl.Expr, low: pl.Expr, high: pl.Expr) -> pl.Expr:
    """What is in [least, most] against what is in [low, high]: null where it cannot be told."""
    least, most, low, high = (side.round_sig_figs(14) for side in (least, most, low, high))
    if operator == "<":
        return pl.when(most < low).then(True).when(least >= high).then(False)
    if operator == "<=":
        return pl.when(most <= low).then(True).when(least > high).then(False)
    if operator in (">", ">="):
        return ~_compared("<=" if operator == ">" else "<", least, most, low, high)
    apart = (most < low) | (least > high)
    same = pl.when(apart).then(False).when((least == most) & (low == high) & (least == low)).then(True)
    return same if operator == "=" else ~same


@dataclass(frozen=True)
class Compared:
    """A quantity against a number, a multiple (`ULN`, `LLN`, `baseline`) or another quantity of the same term."""

    left: Quantity
    operator: str
    number: float = 0.0
    unit: str = ""
    of: str = ""
    right: Quantity | None = None

    @property
    def text(self) -> str:
        if self.right is not None:
            return f"{self.left.text} {self.operator} {self.right.text}"
        unit = f"x {self.of}" if self.of else self.unit
        return f"{self.left.text} {self.operator} {self.number:g} {unit}".strip()

    def at(self, entered: Entered, day: int) -> pl.DataFrame:
        frame = self.left.at(entered, day)
        low = high = pl.lit(self.number)
        if self.of in ("ULN", "LLN"):
            low = high = self.number * pl.col("high" if self.of == "ULN" else "low")
        elif self.of == "baseline" or self.right is not None:
            other = self.right or Number("baseline", self.left.term)
            right = other.at(entered, day).select("subject", other_least="least", other_most="most")
            frame = frame.join(right, on="subject", how="left")
            factor = self.number if self.of else 1.0
            low, high = factor * pl.col("other_least"), factor * pl.col("other_most")
        return _verdict(frame, _compared(self.operator, pl.col("least"), pl.col("most"), low, high))


@dataclass(frozen=True)
class Yes:
    """A finding or state of yes or no, or an event in progress."""

    term: str

    @property
    def text(self) -> str:
        return self.term

    def at(self, entered: Entered, day: int) -> pl.DataFrame:
        if self.term in ("flare", "infection"):
            frame = Happened("grade", self.term).at(entered, day)
            return _verdict(frame, _compared(">", pl.col("least"), pl.col("most"), pl.lit(0.0), pl.lit(0.0)))
        source = State(self.term) if self.term == "consented" else Number("current", self.term)
        return _verdict(source.at(entered, day), pl.col("value") == 1.0)


@dataclass(frozen=True)
class Among:
    """A category among some of its values."""

    term: str
    names: tuple[tuple[int, str], ...]
    negated: bool = False

    @property
    def text(self) -> str:
        names = [f'"{name}"' if " " in name else name for _, name in self.names]
        if len(names) == 1:
            return f"{self.term} {'!=' if self.negated else '='} {names[0]}"
        return f"{'not ' if self.negated else ''}{self.term} in ({', '.join(names)})"

    def at(self, entered: Entered, day: int) -> pl.DataFrame:
        inside = pl.col("value").is_in([float(index) for index, _ in self.names])
        return _verdict(State(self.term).at(entered, day), ~inside if self.negated else inside)


@dataclass(frozen=True)
class IsKnown:
    """Whether a quantity is exactly known."""

    quantity: Quantity
    wanted: bool

    @property
    def text(self) -> str:
        return f"{self.quantity.text} is {'known' if self.wanted else 'unknown'}"

    def at(self, entered: Entered, day: int) -> pl.DataFrame:
        known = pl.col("value").is_not_null()
        return _verdict(self.quantity.at(entered, day), known if self.wanted else ~known)


@dataclass(frozen=True)
class Negated:
    """Not."""

    inside: Sentence

    @property
    def text(self) -> str:
        return f"not ({self.inside.text})"

    def at(self, entered: Entered, day: int) -> pl.DataFrame:
        return _verdict(self.inside.at(entered, day), ~pl.col("verdict"))


@dataclass(frozen=True)
class Joined:
    """How: and, or, any of, all of, at least, each measured of."""

    how: str
    members: tuple[Sentence, ...]
    count: int = 1

    @property
    def text(self) -> str:
        if self.how in ("and", "or"):
            return f" {self.how} ".join(f"({member.text})" for member in self.members)
        opening = f"at least {self.count} of" if self.how == "at least" else self.how
        return f"{opening} ({', '.join(member.text for member in self.members)})"

    def at(self, entered: Entered, day: int) -> pl.DataFrame:
        frame = entered.subjects()
        for number, member in enumerate(self.members):
            frame = frame.join(member.at(entered, day).rename({"verdict": f"m{number}"}), on="subject")
        columns = [pl.col(f"m{number}") for number in range(len(self.members))]
        true = pl.sum_horizontal([column.fill_null(False).cast(int) for column in columns])
        perhaps = pl.sum_horizontal([column.fill_null(True).cast(int) for column in columns])
        known = pl.sum_horizontal([column.is_not_null().cast(int) for column in columns])
        if self.how in ("and", "all of"):
            answer = columns[0]
            for column in columns[1:]:
                answer = answer & column
        elif self.how in ("or", "any of"):
            answer = columns[0]
            for column in columns[1:]:
                answer = answer | column
        elif self.how == "at least":
            answer = pl.when(true >= self.count).then(True).when(perhaps < self.count).then(False)
        else:
            answer = pl.when(true < known).then(False).when(known > 0).then(True)
        return _verdict(frame, answer)


@dataclass(frozen=True)
class Lasts:
    """A sentence about current results for so many days."""

    inside: Sentence
    days: int
    terms: frozenset[str]

    @property
    def text(self) -> str:
        return f"({self.inside.text}) for {self.days} days"

    def at(self, entered: Entered, day: int) -> pl.DataFrame:
        judged = entered.results.filter(pl.col("term").is_in(list(self.terms)) & (pl.col("day") <= day))
        judged = judged.select("subject", "day").unique()
        each = [
            here.select("subject", "day").join(self.inside.at(entered, int(when)), on="subject")
            for (when,), here in judged.group_by("day")
        ]
        now = self.inside.at(entered, day).rename({"verdict": "now"})
        days = (
            pl.concat(each)
            if each
            else pl.DataFrame(schema={"subject": pl.Int64, "day": pl.Int64, "verdict": pl.Boolean})
        )

        def run(breaks: pl.Expr, name: str) -> pl.DataFrame:
            """How many days lie between the first and the latest day after the last break."""
            broken = days.filter(breaks).group_by("subject").agg(broken=pl.col("day").max())
            after = days.join(broken, on="subject", how="left").filter(
                pl.col("broken").is_null() | (pl.col("day") > pl.col("broken"))
            )
            return after.group_by("subject").agg((pl.col("day").max() - pl.col("day").min()).alias(name))

        frame = now.join(run(~pl.col("verdict").fill_null(False), "sure"), on="subject", how="left")
        frame = frame.join(run(~pl.col("verdict").fill_null(True), "maybe"), on="subject", how="left")
        lasted = (
            pl.when(pl.col("sure") >= self.days).then(True)
            .when(pl.col("maybe") >= self.days).then(None)
            .otherwise(False)
        )  # fmt: skip
        return _verdict(frame, pl.when(pl.col("now").is_null()).then(None).when("now").then(lasted).otherwise(False))


Sentence = Compared | Yes | Among | IsKnown | Negated | Joined | Lasts
