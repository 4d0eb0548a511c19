"""The comparison: what each framework can do is what `new` says, and every reason has a source."""

import itertools
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from conftest import Command
from scaffolder import compare as comparison
from scaffolder import criteria, frameworks
from scaffolder import spec as specs
from scaffolder.compare import Comparison
from scaffolder.errors import InfeasiblePlan, UnsupportedChoice
from scaffolder.frameworks import Fact, Framework, discover
from scaffolder.vocabulary import ALGORITHMS, OFFLINE, ONLINE_WISHES, WISHES, WORDS, Algorithm, Wish

GRPO = ("--algorithm", "grpo", "--gpus-per-node", "8", "--model", "org/m-8b")
GRADED = [(name, wish) for name, each in discover().items() for wish in criteria.graded(each)]


def report(scaffold: Command, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = scaffold("compare", "--json", *arguments)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def by_name(found: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in found["frameworks"]}


def compared(*wishes: Wish, algorithm: Algorithm | None = "grpo", **answers: Any) -> Comparison:
    given = {"project_name": "p", "framework": "any", "algorithm": algorithm or "sft", **answers}
    return comparison.compare(specs.build(given), algorithm, wishes)


# What can be done


@pytest.mark.parametrize("gpus", [1, 8], ids="{} GPUs".format)
@pytest.mark.parametrize("model", ["m-1b", "m-70b", "unknown"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_verdict_is_that_of_new(algorithm: Algorithm, model: str, gpus: int) -> None:
    found = compared(algorithm=algorithm, model=model, gpus_per_node=gpus)
    assert {each.name for each in found.candidates} == set(discover())
    for candidate in found.candidates:
        said = list(candidate.refused)
        answers = {"framework": candidate.name, "algorithm": algorithm, "model": model}
        spec = specs.build({"project_name": "p", **answers, "gpus_per_node": gpus})
        try:
            plan = frameworks.resolve(spec).plan(spec)
        except (UnsupportedChoice, InfeasiblePlan) as error:
            assert said == error.reasons and candidate.chosen is None
        else:
            assert not said and candidate.chosen and candidate.chosen.plan == plan


@pytest.mark.parametrize("algorithm", [None, *ALGORITHMS])
def test_what_cannot_be_done_comes_last_with_its_reasons(algorithm: Algorithm | None) -> None:
    found = compared("cpu", algorithm=algorithm, tuning="qlora")
    able = [bool(each.possible) for each in found.candidates]
    assert able == sorted(able, reverse=True)
    assert all(each.possible or each.refused for each in found.candidates)


def test_without_an_algorithm_each_is_asked_for_all_that_it_offers(scaffold: Command) -> None:
    found = report(scaffold, "--generation", "transformers", "--want", "cpu")
    assert found["algorithm"] is None
    for name, each in by_name(found).items():
        adapter = discover()[name]
        refused = {algorithm for why in each["reasons"] for algorithm in why["algorithms"]}
        assert set(each["algorithms"]) | refused == set(adapter.algorithms)
        online = set(adapter.algorithms) - OFFLINE if "transformers" in adapter.generations else {}
        assert set(each["algorithms"]) == set(online)


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, None])
def test_the_printed_command_renders(scaffold: Command, algorithm: str | None) -> None:
    more = ("--algorithm", algorithm) if algorithm else ()
    answers = ("--gpus-per-node", "4", "--model", "org/m 1b", "--set", "epochs=2", *more)
    found = report(scaffold, "--want", "readable", *answers)
    commands = [each["command"] for each in found["frameworks"] if each["feasible"]]
    assert found["command"] == commands[0]
    for command in commands:
        words = shlex.split(command)
        assert words[:2] == ["rl-scaffolder", "new"]
        done = scaffold(*words[1:], "--dry-run", "--json")
        assert done.returncode == 0, done.stderr
        saved = json.loads(done.stdout)["answers"]
        assert (saved["gpus_per_node"], saved["model"], saved["epochs"]) == (4, "org/m 1b", 2)


def test_answers_of_a_project_say_what_another_framework_would_make_of_it(
    scaffold: Command,
) -> None:
    made = ("--framework", "custom", "--algorithm", "grpo", "--model", "org/m-1b")
    assert scaffold("new", "p", *made, "--yes").returncode == 0
    found = report(scaffold, "--answers", "p/.copier-answers.yml", "--want", "tools")
    assert found["algorithm"] == "grpo" and found["recommended"] == "trl"
    assert scaffold(*shlex.split(found["command"])[1:]).returncode == 0


def test_when_nobody_can_all_reasons_and_the_nearest_are_said(scaffold: Command) -> None:
    asked = ("--algorithm", "dpo", "--topology", "slurm", "--pattern", "staged")
    done = scaffold("compare", *asked)
    assert done.returncode == 1
    assert all(f"{each.title} {each.version}: not possible" in done.stdout for each in offered())
    assert "No framework here can do this" in done.stdout
    nearest = re.search(r"The nearest that is: (.*)", done.stdout)
    assert nearest and scaffold("new", "p", *shlex.split(nearest[1]), "--yes").returncode == 0
    found = report(scaffold, *asked, code=1)
    assert (found["recommended"], found["command"]) == (None, None)
    assert all(len(each["reasons"]) >= 2 for each in found["frameworks"])


def test_sizes_that_do_not_come_out_name_what_does(scaffold: Command) -> None:
    asked = ("--algorithm", "grpo", "--model", "org/m-70b", "--gpus-per-node", "8")
    done = scaffold("compare", *asked)
    assert done.returncode == 1
    flat = " ".join(done.stdout.split())
    assert flat.count("70 billion") == len(discover())
    assert "The nearest" not in flat, "no flag but the size would help"
    assert "TRL, Custom, OpenRLHF and verl can, as said below" in flat
    found = report(scaffold, *asked, code=1)
    offers = {each["name"]: each["instead"] for each in found["frameworks"]}
    assert all(offers.values())
    assert "--tuning lora" in offers["trl"][0]["command"] and "LoRA" in offers["trl"][0]["words"]
    words = shlex.split(offers["verl"][0]["command"])[1:]
    assert offers["verl"][0]["command"] in done.stdout
    assert scaffold(*words, "--dry-run").returncode == 0


def offered() -> list[Framework]:
    return list(discover().values())


# What matters


@pytest.mark.parametrize("wish", WISHES)
def test_one_wish_is_granted_by_the_first(wish: Wish) -> None:
    found = compared(wish)
    grades = {each.name: criteria.graded(each).get(wish) for each in offered()}
    known = [fact.grade for fact in grades.values() if fact]
    assert known, "no framework says anything about it"
    first = grades[found.candidates[0].name]
    assert first and first.grade == max(grade or 0 for grade in known)


@pytest.mark.parametrize("wishes", itertools.permutations(WISHES, 2), ids="-".join)
def test_points_are_the_sum_of_the_grades_and_order_the_frameworks(
    wishes: tuple[Wish, Wish],
) -> None:
    found = compared(*wishes)
    points = []
    for each in found.candidates:
        facts = criteria.graded(each.framework)
        points.append(sum(facts[wish].grade or 0 for wish in wishes if wish in facts))
        assert each.score == points[-1] <= found.most == 4
    assert points == sorted(points, reverse=True)
    tied = points[0] == points[1]
    assert (" tie. " in found.because) == tied
    assert found.recommended is found.candidates[0]


def test_the_order_of_the_wishes_breaks_a_tie_and_it_is_said() -> None:
    one, other = compared("scale", "readable"), compared("readable", "scale")
    assert [each.score for each in one.candidates] == [each.score for each in other.candidates]
    assert one.candidates[0].name != other.candidates[0].name
    assert "for scale, which you named before" in one.because
    assert "for readable, which you named before" in other.because


def test_a_tie_that_nothing_breaks_goes_to_what_is_usual_and_it_is_said() -> None:
    found = compared("pip", "cpu")
    tied = [each for each in found.candidates if each.score == 4]
    assert len(tied) > 1 and tied[0].framework.usual
    assert " tie. " in found.because and "does not tell them apart" in found.because


@pytest.mark.parametrize("wish", WISHES)
@pytest.mark.parametrize("algorithm", ["grpo", "ppo", "kto"])
def test_the_verdict_says_what_the_facts_deny(algorithm: Algorithm, wish: Wish) -> None:
    """Whoever is put first, also as the only one: what it lacks stands beside it."""
    found = compared(wish, algorithm=algorithm)
    first = found.recommended
    if first is None:
        assert found.most == 0
        return
    (judged,) = first.judgements
    said = {2: "", 1: f"grants only in part {wish}", 0: f"does not grant {wish}"}
    grade = judged.fact.grade if judged.fact else None
    words = f"says nothing of {wish}" if grade is None else said[grade]
    assert found.because.count(" It ") == (bool(words) and judged.counts)
    assert not judged.counts or words in found.because


def test_what_is_not_known_is_no_no(scaffold: Command) -> None:
    found = report(scaffold, *GRPO, "--want", "amd")
    unknown = [each["wishes"][0] for each in found["frameworks"] if not each["wishes"][0]["source"]]
    assert unknown and all(each["grade"] is None for each in unknown)
    shown = scaffold("compare", *GRPO, "--want", "amd").stdout
    assert shown.count("? amd: not known") == len(unknown)


@pytest.mark.parametrize("wish", sorted(ONLINE_WISHES))
def test_wishes_about_generation_do_not_count_where_nothing_is_generated(wish: Wish) -> None:
    found = compared(wish, algorithm="sft")
    assert {each.score for each in found.candidates} == {0} and found.most == 0
    assert found.recommended is None
    assert compared(wish, algorithm="grpo").most == 2


def test_without_wishes_nobody_is_put_first(scaffold: Command) -> None:
    found = report(scaffold, "--algorithm", "sft")
    assert found["recommended"] is None and found["command"] is None
    assert "none is put first" in found["because"]
    shown = scaffold("compare", "--algorithm", "sft").stdout
    assert all(each["command"] in shown for each in found["frameworks"])
    assert "Where they differ" in shown and "Hydra tree" in shown
    assert "topologies" not in shown, "all have the same"


def test_the_only_one_that_can_is_recommended(scaffold: Command) -> None:
    found = report(scaffold, "--algorithm", "kto")
    assert found["recommended"] == "trl" and "Only TRL can do this" in found["because"]


def test_what_the_others_give_is_said(scaffold: Command) -> None:
    shown = scaffold("compare", *GRPO, "--want", "scale").stdout
    assert "verl is put first" in shown
    trl = shown.split("TRL gives more than verl in:")[1].split("\n\n")[0]
    assert "+ cpu:" in trl and "algorithms: dpo, kto, rm" in trl and "scale" not in trl


def test_unknown_wishes_get_a_suggestion(scaffold: Command) -> None:
    done = scaffold("compare", "--want", "scal", "--want", "speed", "--want", "cpu")
    assert done.returncode == 2
    assert "--want scal: no such wish; did you mean scale?" in done.stderr
    assert "--want speed: no such wish; known: scale, " in done.stderr
    wrong = scaffold("compare", "--algorithm", "grop", "--nodes", "many")
    assert wrong.returncode == 2
    assert "algorithm = 'grop'" in wrong.stderr and "nodes = 'many'" in wrong.stderr


@pytest.mark.parametrize("more", [(), ("--algorithm", "sft"), ("--want", "cpu", "--json")])
@pytest.mark.parametrize("words", [("--rollouts", "nowhere.jsonl"), ("--set", "rollouts=no where")])
def test_rollouts_that_are_named_have_to_be_there(
    scaffold: Command, words: tuple[str, ...], more: tuple[str, ...]
) -> None:
    done = scaffold("compare", *words, *more)
    assert done.returncode == 2 and words[1].removeprefix("rollouts=") in done.stderr


# Facts


@pytest.mark.parametrize(("name", "wish"), GRADED, ids=str)
def test_a_graded_fact_agrees_with_what_its_adapter_declares(name: str, wish: Wish) -> None:
    framework = discover()[name]
    fact = criteria.graded(framework)[wish]
    assert fact.value and fact.source and re.fullmatch(r"20\d\d-\d\d-\d\d", fact.date)
    if wish == "cpu":
        assert (fact.grade == 2) == (framework.smoke_gpus == 0)
    if wish == "few_gpus":
        best = {"full": 0, "lora": 1, "qlora": 2}
        assert fact.grade == max(best[tuning] for tuning in framework.tunings)
    if wish == "pip":
        spec = specs.build({"project_name": "p", "framework": name, "algorithm": "sft"})
        plan = framework.plan(spec)
        alone = not plan.compiled_requirements and not plan.container
        assert (fact.grade == 2) == alone
    if wish in {"scale", "pip"} and "wheel" in fact.source:
        assert framework.version in fact.source, "read in another version"


@pytest.mark.parametrize("name", discover())
def test_nothing_is_graded_or_named_twice(name: str) -> None:
    named = [fact.criterion for fact in discover()[name].facts]
    assert len(named) == len(set(named))


def test_every_wish_has_a_title_and_is_decided_by_somebody() -> None:
    assert set(WISHES) <= set(WORDS)
    assert {wish for _, wish in GRADED} == set(WISHES)


def test_a_fact_cannot_grade_what_is_no_wish() -> None:
    with pytest.raises(ValueError, match="no such wish: speed"):
        Fact("speed", "fast", "nowhere", "2026-01-01", grade=2)


# Frameworks of others


class Theirs(type(discover()["custom"])):  # type: ignore[misc]
    name = "theirs"
    title = "Theirs"
    facts = (Fact("amd", "made for them", "https://theirs.example", "2026-11-25", grade=2),)


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    found = {**discover(), "theirs": Theirs()}
    monkeypatch.setattr(frameworks, "_load", lambda: (found, {}))
    yield


@pytest.mark.usefixtures("theirs")
def test_a_framework_of_another_package_appears_by_itself() -> None:
    found = compared("amd")
    assert found.recommended and found.recommended.name == "theirs"
    unknown = compared("readable")
    last = next(each for each in unknown.candidates if each.name == "theirs")
    assert last.judgements[0].fact is None and last.score == 0
    names = [each.title for each in discover().values()]
    row = next(row for row in criteria.rows(offered()) if row.criterion == "amd")
    assert row.cells[names.index("Theirs")] == Theirs.facts[0]
