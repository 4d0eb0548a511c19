"""Statistics of a stream of rollouts."""

import msgspec

from ..data.rollout import NULL, Rollout
from ..data.same import conversation, hash_of, said
from .bounded import Sampled
from .content import characters, has_images
from .names import Agents, Files, Keys, Reasons, Tools
from .samples import Samples
from .spread import Spread
from .summary import Copies, Marks, Summary
from .tasks import TaskCounts
from .uses import UseCounts

SOLVED_FROM = 0.5
"""Halfway between the 0 and the 1 that most environments give."""
MOST_TEXTS = 200_000
"""Different rollouts that are held to find copies, each in about 100 bytes; of more, a sample."""


class Survey:
    """Counts rollouts one by one, in memory that has a limit.

    Args:
        solved_from: lowest reward that counts as solved.
    """

    def __init__(self, solved_from: float = SOLVED_FROM) -> None:
        self._solved_from = solved_from
        self._rollouts = self._solved = self._thought = 0
        self._rewards, self._turns = Spread(), Spread()
        self._prompts, self._completions = Spread("log"), Spread("log")
        self._marks = Marks()
        self._texts: Sampled[int] = Sampled(MOST_TEXTS)
        self._agents = Agents()
        self._reasons = Reasons()
        self._files = Files()
        self._samples = Samples()
        self._tasks = TaskCounts()
        self._tools = Tools()
        self._keys = Keys()
        self._uses = UseCounts(solved_from)

    def add(self, rollout: Rollout, line: bytes) -> None:
        """Count a rollout, and what stands on its line beside it."""
        reward = None if rollout.worse else rollout.reward
        solved = reward is not None and reward >= self._solved_from
        self._rollouts += 1
        prompt = hash_of(said(rollout.prompt))
        text = hash_of(conversation(rollout))
        self._solved += solved
        if reward is not None:
            self._rewards.add(reward)
        self._texts.add(text, 1, int.__add__)
        self._agents.add(rollout.agent, reward, solved)
        self._samples.add(rollout, text, solved)
        self._tasks.add(rollout, prompt, reward, solved)
        self._add_sizes(rollout)
        self._add_marks(rollout)
        self._keys.add(line)
        self._uses.add(rollout, line)

    def reject(self, reason: str, *, damaged: bool = True) -> None:
        """Count a line that could not be used.

        Args:
            damaged: whether it is no rollout; of such lines a project bears only a share.
        """
        self._reasons.add(reason, damaged=damaged)

    def note_file(self, name: str) -> None:
        """Say of which file all is that was counted, before anything is merged."""
        self._files.add(name, self._rollouts, self._reasons)

    def merge(self, other: "Survey") -> None:
        """Add what was counted of other rollouts; the other survey is used up."""
        self._rollouts += other._rollouts
        self._solved += other._solved
        self._thought += other._thought
        self._rewards.merge(other._rewards)
        self._turns.merge(other._turns)
        self._prompts.merge(other._prompts)
        self._completions.merge(other._completions)
        self._marks.merge(other._marks)
        self._texts.merge(other._texts, int.__add__)
        self._agents.merge(other._agents)
        self._reasons.merge(other._reasons)
        self._files.merge(other._files)
        self._samples.merge(other._samples)
        self._tasks.merge(other._tasks)
        self._tools.merge(other._tools)
        self._keys.merge(other._keys)
        self._uses.merge(other._uses)

    def summary(self) -> Summary:
        """What was counted so far."""
        rollouts = self._rollouts
        agents = self._agents.summary()
        return Summary(
            solved_from=self._solved_from,
            read=rollouts + self._reasons.lines,
            rejected=self._reasons.summary(),
            damaged=self._reasons.damaged,
            examples=self._reasons.examples(),
            files=self._files.summary(),
            rollouts=rollouts,
            solved=self._solved,
            rewards=self._rewards.figures(),
            agents=agents,
            other_agents=self._rewards.count - sum(agent.rollouts for agent in agents),
            tasks=self._tasks.summary(),
            turns=self._turns.figures(),
            prompt_characters=self._prompts.figures(),
            completion_characters=self._completions.figures(),
            reasoning_characters=self._thought,
            marks=msgspec.structs.replace(self._marks),
            uses=self._uses.summary(),
            unread=self._keys.summary(),
            tools=self._tools.summary(),
            calls=self._tools.calls,
            copies=self._copies(),
            samples=self._samples.chosen(),
        )

    def _add_sizes(self, rollout: Rollout) -> None:
        self._turns.add(sum(message.role == "assistant" for message in rollout.completion))
        self._prompts.add(sum(map(characters, rollout.prompt)))
        self._completions.add(sum(map(characters, rollout.completion)))
        self._thought += sum(len(message.thought) for message in rollout.completion)

    def _add_marks(self, rollout: Rollout) -> None:
        calls, unknown = self._tools.add(rollout)
        marks = Marks(
            truncated=int(rollout.truncated),
            masked=int(rollout.masked),
            failed=int(rollout.failed),
            reasoning=int(any(message.reasoning for message in rollout.completion)),
            images=int(any(map(has_images, (*rollout.prompt, *rollout.completion)))),
            tools=int(bytes(rollout.tools) != bytes(NULL)),
            calls=int(calls),
            unknown_calls=int(unknown),
            ground_truth=int(bytes(rollout.ground_truth) != bytes(NULL)),
            turn_rewards=int(rollout.turn_rewards is not None),
            turn_tokens=int(rollout.turn_tokens is not None),
            inputs=int(not rollout.completion),
            pairs=int(rollout.worse is not None),
            unjudged=int(rollout.reward is None),
        )
        self._marks.merge(marks)

    def _copies(self) -> Copies:
        held = self._texts.values()
        return Copies(self._texts.scaled(sum(held) - len(held)), self._texts.share)
