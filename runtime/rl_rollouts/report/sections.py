"""What the rollouts hold, section by section."""

from ..survey import Finding, Summary
from ..survey.summary import Agent, Figures, Tasks, Tool
from .charts import histogram, meter, share_bar, sparkline
from .markup import Html, breakable, element, joined
from .numbers import number, of, percent
from .tables import Section, bars_table, card, facts, grid, note, quantiles, section, table

SIGNS = {"warning": ("!", "Warning: "), "note": ("i", "Note: "), "good": ("✓", "Good: ")}
NO_NAME = "no agent named"
RATES = [(0.5, "never"), (3, "20%"), (5, "40%"), (7, "60%"), (9, "80%"), (11.5, "always")]
"""Below the bars of pass rates."""


def findings_list(found: list[Finding]) -> Html:
    """What to know first."""
    return element("ul", (_finding(finding) for finding in found), class_="findings")


def rewards(summary: Summary) -> Section | None:
    figures = summary.rewards
    if figures is None:
        return None
    chart = histogram("Rewards of all rollouts", figures.bars, "rollouts")
    numbers = bars_table("Rewards of all rollouts", figures.bars, "reward")
    unsolved = summary.rollouts - summary.solved
    parts = [("solved", summary.solved, "good"), ("not solved", unsolved, "rest")]
    title = f"Solved, with a reward of {number(summary.solved_from)} or more"
    return section(
        "rewards",
        "Rewards",
        grid(
            card("All rollouts", chart, numbers),
            card(title, share_bar("Solved", parts), facts(quantiles(figures))),
            card("By agent", _agents(summary, figures), wide=True),
        ),
    )


def tasks(summary: Summary) -> Section | None:
    found = summary.tasks
    if not found.count:
        return None
    between = [""] * (len(found.pass_rates) - 2)
    chart = histogram(
        "Pass rate of tasks",
        found.pass_rates,
        "tasks",
        classes=["never", *between, "good"],
        labels=RATES,
    )
    split = share_bar(
        "Tasks solved",
        [
            ("never solved", found.never, "never"),
            ("sometimes", found.sometimes, ""),
            ("always solved", found.always, "good"),
        ],
    )
    return section(
        "tasks",
        "Tasks",
        _sampled(found),
        grid(
            card("Pass rate of each task", chart, _rates_table(found)),
            card("What tasks can teach", split, facts(_task_facts(found))),
        ),
    )


def shape(summary: Summary) -> Section | None:
    charts = [
        ("Turns of the model", "turns", summary.turns),
        ("Prompt, characters", "characters", summary.prompt_characters),
        ("Completion, characters", "characters", summary.completion_characters),
    ]
    cards = [_spread(title, head, figures) for title, head, figures in charts if figures]
    return section("shape", "Shape", grid(cards, _marks(summary))) if cards else None


def tools(summary: Summary) -> Section | None:
    marks = summary.marks
    if not marks.tools and not summary.calls:
        return None
    pairs = [
        ("given tool schemas", of(marks.tools, summary.rollouts)),
        ("calling tools", of(marks.calls, summary.rollouts)),
        ("calling without the tool's schema", of(marks.unknown_calls, summary.rollouts)),
        ("calls in all", f"{summary.calls:,}"),
    ]
    rows = [_tool_row(tool, summary) for tool in summary.tools]
    head = ("tool", "", "calls", "rollouts", "without schema")
    shown = table("Calls by tool", head, rows, numeric=3) if rows else None
    left_out = summary.calls - sum(tool.calls for tool in summary.tools)
    more = note(f"{left_out:,} calls of other tools are not listed.") if left_out else None
    return section("tools", "Tools", card("Rollouts", facts(pairs, "row"), shown, more))


def _finding(finding: Finding) -> Html:
    sign, word = SIGNS[finding.weight]
    mark = element("span", sign, class_="sign", aria_hidden="true")
    spoken = element("span", word, class_="unseen")
    return element("li", mark, element("span", spoken, finding.text), class_=finding.weight)


def _agents(summary: Summary, overall: Figures) -> Html:
    low, high = overall.p05, overall.p95
    if low == high:
        low, high = overall.low, overall.high
    rows = [_agent_row(agent, summary, low, high) for agent in summary.agents]
    if summary.other_agents:
        rest = of(summary.other_agents, summary.rollouts)
        rows.append(("other agents", "", rest, "", "", "", "", ""))
    rewards = f"rewards, {number(low)} to {number(high)}"
    head = ("agent", rewards, "rollouts", "solved", "lowest", "median", "mean", "highest")
    return table("Rewards by agent", head, rows, numeric=6)


def _agent_row(agent: Agent, summary: Summary, low: float, high: float) -> tuple[str, ...]:
    figures = agent.rewards
    name = NO_NAME if agent.name is None else agent.name
    return (
        element("i", name) if agent.name is None else breakable(name),
        sparkline(f"Rewards of {name}", figures.bars, low, high),
        of(agent.rollouts, summary.rollouts),
        percent(agent.solved, agent.rollouts),
        number(figures.low),
        number(figures.median),
        number(figures.mean),
        number(figures.high),
    )


def _sampled(found: Tasks) -> Html | None:
    if found.share == 1:
        return None
    share = f"1 in {round(1 / found.share)}"
    return note(f"There are very many tasks: these numbers are scaled up from {share}, by hash.")


def _rates_table(found: Tasks) -> Html:
    return bars_table("Pass rate of tasks", found.pass_rates, "pass rate")


def _task_facts(found: Tasks) -> list[tuple[str, str]]:
    pairs = [
        ("tasks", f"{found.count:,}"),
        ("with two or more different rewards", of(found.differing, found.count)),
        ("attempted only once", of(found.single, found.count)),
        ("with two or more different prompts", of(found.mixed, found.count)),
        ("prompts that stand in two or more tasks", f"{found.shared_prompts:,}"),
    ]
    if found.rollouts:
        per_task = (found.rollouts.low, found.rollouts.median, found.rollouts.high)
        words = " / ".join(number(value) for value in per_task)
        pairs.insert(1, ("rollouts of a task: lowest / median / highest", words))
    return pairs


def _spread(title: str, head: str, figures: Figures) -> Html:
    chart = histogram(title, figures.bars, "rollouts")
    return card(
        title, chart, facts(quantiles(figures), "row"), bars_table(title, figures.bars, head)
    )


def _marks(summary: Summary) -> Html:
    marks, rollouts = summary.marks, summary.rollouts
    copies = of(summary.copies.rollouts, rollouts)
    counts = {
        "with the model's reasoning": marks.reasoning,
        "truncated at the token limit": marks.truncated,
        "masked by the environment": marks.masked,
        "failed": marks.failed,
        "with images or other content": marks.images,
        "with a ground truth": marks.ground_truth,
        "with a reward for each turn": marks.turn_rewards,
        "with token ids and log-probabilities": marks.turn_tokens,
    }
    pairs = [(name, of(count, rollouts)) for name, count in counts.items()]
    about = "copies of another rollout" if summary.copies.share == 1 else "copies, estimated"
    pairs.insert(4, (about, copies))
    if summary.completion_characters:
        figures = summary.completion_characters
        written = round(figures.mean * figures.count)
        thought = percent(summary.reasoning_characters, written)
        pairs.insert(1, ("reasoning, of what the model wrote", thought))
    return card("Rollouts", facts(pairs))


def _tool_row(tool: Tool, summary: Summary) -> tuple[str, ...]:
    most = max((each.calls for each in summary.tools), default=0)
    unknown = f"{tool.unknown:,}"
    return (
        element("code", breakable(tool.name)),
        meter(tool.calls, most),
        of(tool.calls, summary.calls),
        of(tool.rollouts, summary.rollouts),
        joined(element("b", unknown, class_="bad")) if tool.unknown else unknown,
    )
