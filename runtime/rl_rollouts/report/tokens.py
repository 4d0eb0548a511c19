"""Training rows against the sequence length of the trainer."""

from ..survey.forecast import Forecast
from .charts import histogram
from .lengths import CHARACTERS_PER_TOKEN, Lengths
from .markup import Html, element, joined
from .numbers import of, percent
from .tables import Section, bars_table, card, facts, grid, note, quantiles, section


def tokens(lengths: Lengths | None, forecast: Forecast | None = None) -> Section | None:
    """The section about lengths in tokens; None without training data."""
    if lengths is None:
        return None
    title = "Training rows in tokens"
    if lengths.tokens is None:
        return section("tokens", title, note("There are no training rows."))
    bars, limit = lengths.tokens.bars, lengths.trainer.limit
    chart = histogram(title, bars, "rows", limit=limit)
    return section(
        "tokens",
        title,
        note(element("b", _how(lengths)), f" {_why(lengths)}"),
        grid(
            card(
                "Tokens of a row",
                chart,
                facts(quantiles(lengths.tokens), "row"),
                bars_table(title, bars, "tokens"),
            ),
            card("At the trainer", _fate(lengths, forecast)),
        ),
    )


def verdict(lengths: Lengths) -> str:
    """How many rows the trainer will not see whole, in one sentence."""
    trainer = lengths.trainer
    if trainer.limit is None:
        return "No limit for the length of a row is known."
    above = f"above {trainer.key} = {trainer.limit:,} tokens"
    if not lengths.long:
        return f"None of {lengths.measured:,} measured training rows is {above}."
    about = "" if lengths.exact else "About "
    share = percent(lengths.long, lengths.rows)
    rows = f"{about}{lengths.long:,} of {lengths.rows:,} training rows ({share})"
    full = f" In {about.lower()}{lengths.full:,} of them the prompt alone fills it."
    return f"{rows} are {above} and will be {trainer.fate}.{full if lengths.full else ''}"


def _how(lengths: Lengths) -> str:
    if lengths.tokenizer:
        return f"Measured with the tokenizer of {lengths.tokenizer}, as the trainer writes chats."
    return f"Estimated: {CHARACTERS_PER_TOKEN} characters count as a token."


def _why(lengths: Lengths) -> str:
    sample = ""
    if lengths.measured < lengths.rows:
        sample = f"A sample of {lengths.measured:,} of {lengths.rows:,} rows, drawn by hash. "
    return sample + (f"{lengths.why[0].upper()}{lengths.why[1:]}." if lengths.why else "")


def _fate(lengths: Lengths, forecast: Forecast | None) -> Html:
    trainer = lengths.trainer
    about = "" if lengths.exact else "about "
    pairs: list[tuple[str, str]] = [("training rows", f"{lengths.rows:,}")]
    if trainer.limit is not None:
        pairs += [
            (trainer.key, f"{trainer.limit:,}"),
            (f"longer, will be {trainer.fate}", about + of(lengths.long, lengths.rows)),
            ("of these, prompt alone fills the limit", f"{about}{lengths.full:,}"),
        ]
    words = [] if forecast is None else [forecast.rows_in_words(), *forecast.steps_in_words()]
    return joined(
        element("p", verdict(lengths)),
        *(element("p", " ".join(each.split())) for each in words),
        facts([*pairs, ("config", trainer.config)]),
    )
