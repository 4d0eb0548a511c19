"""The generation server is started as TRL starts it (`trl.scripts.vllm_serve.build_command`)."""

from typing import Any

import pytest
from trl.scripts import vllm_serve

from contracts.rendering import Variant, planned

SERVED = [each for each in planned("trl") if each.plan and each.plan.server]
IMPOSED = ("--weight-transfer-config", "--logprobs-mode", "--max-logprobs", "--enable-scale-out")


def options(words: list[str]) -> dict[str, str]:
    """Options and their values; a flag has the value ''."""
    found: dict[str, str] = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("--"):
            found[word] = "" if following.startswith("--") else following
    return found


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """TRL's command for vLLM 0.30, which is not installed here."""
    monkeypatch.setattr(vllm_serve, "is_vllm_available", lambda min_version=None: True)

    def call(variant: Variant) -> list[str]:
        assert variant.plan is not None
        arguments = vllm_serve.ScriptArguments(
            model=variant.spec.model,
            tensor_parallel_size=variant.plan.generation_tensor_parallel,
            max_model_len=variant.spec.sequence_length,
        )
        command: list[str] = vllm_serve.build_command(arguments)
        return command

    return call


def test_there_are_servers() -> None:
    assert {each.spec.nodes for each in SERVED} == {1, 2}


def test_the_command_carries_what_trl_imposes(theirs: Any) -> None:
    for variant in SERVED:
        assert variant.plan is not None and variant.plan.server is not None
        ours, wanted = options(variant.plan.server.command), options(theirs(variant))
        assert {name: ours.get(name) for name in IMPOSED} == {
            name: wanted.get(name) for name in IMPOSED
        }, variant
        shared = ours.keys() & wanted.keys()
        assert {name: ours[name] for name in shared} == {name: wanted[name] for name in shared}
        assert ours.keys() <= wanted.keys(), f"{variant}: an option that TRL does not give"


def test_the_program_is_vllms_own(theirs: Any) -> None:
    for variant in SERVED:
        assert variant.plan is not None and variant.plan.server is not None
        words, wanted = variant.plan.server.command, theirs(variant)
        assert words[: words.index("serve") + 2] == wanted[1 : wanted.index("serve") + 2]
        assert "vllm-serve" not in words
        assert variant.plan.server.environment == {"VLLM_SERVER_DEV_MODE": "1"}


def test_trainer_and_server_share_no_gpu() -> None:
    for variant in SERVED:
        plan, spec = variant.plan, variant.spec
        assert plan is not None and plan.server is not None
        on_the_servers_machine = plan.world_size if spec.nodes == 1 else 0
        assert on_the_servers_machine + plan.server.gpus <= spec.gpus_per_node, variant
