"""Environments in which the model answers once: each function makes a task, and it the rollouts."""

from collections.abc import Callable

from records import Json, Writer, request, said

Attempt = Callable[[], Json]
"""Makes one more rollout of a task."""


def maths(write: Writer) -> Attempt:
    """Long reasoning; half of the tasks are judged by a model, whose own answer is kept whole."""
    asked = request([said("user", write.text("maths", 250))])
    answer, solved = str(write.number(1000)), write.pass_rate()
    judged, with_tokens = write.chance(0.5), write.chance(0.025)

    def attempt() -> Json:
        right = write.chance(solved)
        found = answer if right else str(write.number(1000))
        thought = write.text("maths", 2600, 0.9)
        final = write.message(rf"{write.text('maths', 700)}\boxed{{{found}}}")
        if with_tokens:
            write.token_ids(final, prompt=120, written=len(thought) // 4)
        rollout = write.rollout(asked, [write.reasoning(thought), final], float(right))
        rollout |= {"expected_answer": answer, "extracted_answer": found, "library_reward": 0.0}
        if judged:
            rollout["judge_evaluations"] = [_judgement(write, "prose", 900)]
        return rollout

    return attempt


def _judgement(write: Writer, kind: str, median: int) -> Json:
    asked = request([said("system", write.text("prose", 800, 0.1)), said("user", "[[A=B]]?")])
    return {
        "responses_create_params": asked,
        "response": write.rollout(asked, [write.message(write.text(kind, median))], 0.0)[
            "response"
        ],
        "verdict_label": "[[A=B]]" if write.chance(0.5) else "[[A!=B]]",
    }


def choice(write: Writer) -> Attempt:
    """A question with options, no reasoning."""
    asked = request([said("user", write.text("prose", 900, 0.4))])
    right_option, solved = write.random.choice("ABCDEFGHIJ"), write.pass_rate()

    def attempt() -> Json:
        right = write.chance(solved)
        option = right_option if right else write.random.choice("ABCDEFGHIJ")
        output = [write.message(f"{write.text('prose', 1500)}\nAnswer: {option}")]
        rollout = write.rollout(asked, output, float(option == right_option))
        return rollout | {"expected_answer": right_option, "extracted_answer": option}

    return attempt


def short_answer(write: Writer) -> Attempt:
    """A line in, a line out. The prompt of some is text, not a list of messages."""
    question = write.text("prose", 90, 0.4)
    asked = request(question if write.chance(0.1) else [said("user", question)])
    answer, solved = write.text("prose", 20, 0.2), write.pass_rate()

    def attempt() -> Json:
        right = write.chance(solved)
        text = answer if right else write.text("prose", 40)
        rollout = write.rollout(asked, [write.message(text)], float(right))
        return rollout | {"question": question, "expected_answer": answer, "is_correct": right}

    return attempt


def instructions(write: Writer) -> Attempt:
    """Instructions that are checked one by one; the reward is the share that was followed."""
    kind = write.random.choice(
        ["prose"] * 12 + ["chinese", "chinese", "russian", "german", "spanish"]
    )
    asked = request([said("system", write.text("prose", 300)), said("user", write.text(kind, 250))])
    names = [f"check:{write.number(90)}" for _ in range(1 + write.number(5))]
    details = [{"words": write.number(300), "relation": None} for _ in names]
    solved = write.pass_rate()

    def attempt() -> Json:
        followed = [write.chance(solved) for _ in names]
        rollout = write.rollout(asked, [write.message(write.text(kind, 1400))], 0.0)
        return rollout | {
            "reward": sum(followed) / len(followed),
            "id": len(names),
            "instruction_id_list": names,
            "kwargs": details,
            "follow_all_instructions": all(followed),
            "follow_instruction_list": followed,
        }

    return attempt


def code(write: Writer) -> Attempt:
    """A program and the result of each unit test; the reward is the share that passes."""
    asked = request([said("user", write.text("prose", 1800))], max_output_tokens=32768)
    tests = 3 + write.number(20)
    cases = {
        "inputs": [f"{write.number(10**6)}\n" for _ in range(tests)],
        "outputs": [f"{write.number(10**6)}\n" for _ in range(tests)],
    }
    solved, with_tokens = write.pass_rate(), write.chance(0.025)

    def attempt() -> Json:
        passed = [write.chance(solved) for _ in range(tests)]
        program = write.text("code", 1900, 0.8)
        final = write.message(f"{write.text('prose', 900)}\n```python\n{program}\n```")
        thought = write.text("prose", 5000, 0.9)
        if with_tokens:
            write.token_ids(final, prompt=500, written=len(thought) // 4)
        output = [write.reasoning(thought), final]
        rollout = write.rollout(asked, output, sum(passed) / tests)
        return rollout | {
            "verifier_metadata": {"unit_tests": cases},
            "extracted_model_code": program,
            "result": {"passed": passed, "seconds": [0.01 * write.number(300) for _ in passed]},
        }

    return attempt


def long_context(write: Writer) -> Attempt:
    """A few words to find in a prompt of up to hundreds of thousands of characters."""
    haystack = write.text("prose", 30_000, 1.0)
    asked = request([said("system", haystack), said("user", write.text("prose", 150))])
    answer, solved = write.text("prose", 25, 0.2), write.pass_rate()
    metadata = {"topic": write.text("prose", 30), "n_tokens": len(haystack) // 4, "depth": 0.5}

    def attempt() -> Json:
        right = write.chance(solved)
        thought = write.reasoning(write.text("prose", 800))
        final = write.message(answer if right else write.text("prose", 60))
        rollout = write.rollout(asked, [thought, final], float(right))
        return rollout | {"metadata": metadata, "expected_answer": answer, "judge_output": "yes"}

    return attempt
