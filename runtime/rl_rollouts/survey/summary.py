"""What a survey found, as plain values that can be encoded as JSON."""

import msgspec


class Bar(msgspec.Struct):
    """How many numbers lie from `low` to below `high`; the last bar holds its `high` as well.

    Where both are the same, the bar is of that one number.
    """

    low: float
    high: float
    count: int


class Figures(msgspec.Struct):
    """How numbers spread; see `Spread` for what is exact."""

    count: int
    mean: float
    low: float
    high: float
    p05: float
    p25: float
    median: float
    p75: float
    p95: float
    bars: list[Bar]


class Marks(msgspec.Struct):
    """How many rollouts have something about them."""

    truncated: int = 0
    masked: int = 0
    failed: int = 0
    reasoning: int = 0
    """The model's reasoning is recorded."""
    images: int = 0
    """Content that is not text."""
    tools: int = 0
    """Tool schemas were given."""
    calls: int = 0
    """The model called a tool."""
    unknown_calls: int = 0
    """It called a tool that has no schema in the record."""
    ground_truth: int = 0
    turn_rewards: int = 0
    turn_tokens: int = 0
    """Token ids and log-probabilities are recorded."""
    inputs: int = 0
    """Prompts to which nothing came back."""
    pairs: int = 0
    """A chosen and a rejected answer in one record."""
    unjudged: int = 0
    """Without a reward."""

    def merge(self, other: "Marks") -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Uses(msgspec.Struct):
    """Rows that could be made of what filtering keeps: neither masked, failed nor truncated."""

    kept: int = 0
    """All that is left."""
    compared: int = 0
    """Of these a chosen and a rejected answer in one record."""
    answers: int = 0
    """Rollouts with an answer of the model."""
    judged: int = 0
    """Of these with a reward."""
    best: int = 0
    """Of these with one of at least `IMITATED_FROM`."""
    good: int = 0
    """Solved, and chosen sides of pairs."""
    bad: int = 0
    """Not solved, and rejected sides."""
    pairs: int = 0
    """Preference pairs, one of each prompt, beside those that stand in the file."""


class File(msgspec.Struct):
    """What one file holds; of very many files some are listed."""

    name: str
    lines: int
    rollouts: int
    damaged: int
    """Lines that are no rollouts."""
    reason: str
    """Why lines could not be used; of several reasons the most frequent of a part of it."""


class Key(msgspec.Struct):
    """A key that nothing reads; those of messages begin with `messages.`."""

    name: str
    records: int
    """In which it stands."""
    decisive: int
    """In which it is set, and looks as if it decided about what is learned."""


class Agent(msgspec.Struct):
    """The rollouts of one agent."""

    name: str | None
    """None where the record names no agent."""
    rollouts: int
    solved: int
    rewards: Figures


class Tool(msgspec.Struct):
    """The calls of one tool."""

    name: str
    calls: int = 0
    rollouts: int = 0
    """In so many rollouts."""
    unknown: int = 0
    """In so many rollouts without its schema."""


class Tasks(msgspec.Struct):
    """Tasks and how they were solved. Estimates when `share` is below 1."""

    count: int
    share: float
    """Of the tasks, chosen by hash, that the other numbers were scaled up from."""
    single: int
    """Attempted only once."""
    differing: int
    """With two or more different rewards."""
    never: int
    """By none of its rollouts."""
    sometimes: int
    always: int
    mixed: int
    """Numbers under which there are two or more prompts, each of which is a task."""
    shared_prompts: int
    """Prompts that stand in two or more tasks."""
    pass_rates: list[Bar]
    """Never, ten steps between, always."""
    rollouts: Figures | None
    """Rollouts of a task."""
    asked: int
    """With a rollout that filtering keeps, whose prompt online algorithms answer anew."""
    tools: int
    """Of these with tools."""
    truths: int
    """Of these saying what is right."""


class Copies(msgspec.Struct):
    """Rollouts with the messages and tools of another; ids of calls do not matter."""

    rollouts: int
    """How many could go without losing a text."""
    share: float
    """Of the different texts, as in `Tasks`."""


class Excerpt(msgspec.Struct, omit_defaults=True):
    """A text, of which the middle may be left out."""

    head: str
    left_out: int = 0
    """Characters."""
    tail: str = ""


class Call(msgspec.Struct):
    """A tool call of a sample."""

    name: str
    arguments: Excerpt


class Said(msgspec.Struct, omit_defaults=True):
    """One message of a sample."""

    role: str
    text: Excerpt
    given: bool = False
    """Part of the prompt."""
    reasoning: Excerpt | None = None
    calls: list[Call] = []
    skipped: int = 0
    """Messages left out before this one."""


class Sample(msgspec.Struct):
    """A rollout to read."""

    agent: str | None
    task: str
    reward: float | None
    solved: bool
    marks: list[str]
    """truncated, masked, failed."""
    messages: list[Said]


class Summary(msgspec.Struct):
    """All of it."""

    solved_from: float
    """Lowest reward that counts as solved."""
    read: int
    rejected: dict[str, int]
    """Lines that could not be used, by reason, most frequent first."""
    damaged: int
    """Of these no rollouts; the others are set aside, however many they are."""
    examples: dict[str, str]
    """All that was said of one of them, for reasons that say more of each."""
    files: list[File]
    rollouts: int
    solved: int
    rewards: Figures | None
    agents: list[Agent]
    """Most rollouts first."""
    other_agents: int
    """Rollouts of agents that are not listed."""
    tasks: Tasks
    turns: Figures | None
    """Messages of the model in the completion."""
    prompt_characters: Figures | None
    completion_characters: Figures | None
    """Contents, reasoning and arguments of calls."""
    reasoning_characters: int
    marks: Marks
    uses: Uses
    unread: list[Key]
    """Most frequent first."""
    tools: list[Tool]
    """Most calls first."""
    calls: int
    """Of all tools, also of those that are not listed."""
    copies: Copies
    samples: list[Sample]
