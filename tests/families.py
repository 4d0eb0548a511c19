"""Chat templates of five families of models, and conversations to put through them.

Qwen3 leaves reasoning out of earlier turns, Llama 3 takes one call a turn and no text beside it,
Gemma refuses system turns and tool results, Mistral shows tools with the last question and wants
ids of nine letters, DeepSeek cannot write arguments that are objects.
"""

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

Json = dict[str, Any]
QWEN3 = """
{%- if tools %}{{- '<|im_start|>system\\n' }}
{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n' }}{% endif %}
{%- for tool in tools %}{{- '\\n' + (tool | tojson) }}{% endfor %}{{- '<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}{% endif %}
{%- set ns = namespace(last=-1) %}
{%- for m in messages if m.role == 'user' %}{% set ns.last = messages.index(m) %}{% endfor %}
{%- for m in messages %}
{%- if m.role == 'assistant' %}{{- '<|im_start|>assistant\\n' }}
{%- if m.reasoning_content and loop.index0 > ns.last %}
{{- '<think>\\n' + m.reasoning_content + '\\n</think>\\n\\n' }}{% endif %}
{{- m.content or '' }}
{%- for call in m.tool_calls or [] %}
{{- '\\n<tool_call>\\n' + (call.function | tojson) + '\\n</tool_call>' }}{% endfor %}
{{- '<|im_end|>\\n' }}
{%- elif m.role != 'system' %}{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
{%- endif %}{% endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}
"""
LLAMA3 = """
{{- bos_token or '' }}{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' }}
{%- for tool in tools or [] %}{{- (tool | tojson(indent=4)) + '\\n\\n' }}{% endfor %}
{{- '<|eot_id|>' }}
{%- for m in messages %}{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' }}
{%- if m.tool_calls %}
{%- if m.tool_calls | length != 1 %}{{- raise_exception('only single tool-calls') }}{% endif %}
{%- set call = m.tool_calls[0].function %}
{{- '{"name": "' + call.name + '", "parameters": ' + (call.arguments | tojson) + '}' }}
{%- else %}{{- m.content | trim }}{% endif %}{{- '<|eot_id|>' }}{% endfor %}
{%- if add_generation_prompt %}
{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}
"""
GEMMA = """
{%- if messages[0].role == 'system' %}{{- raise_exception('System role not supported') }}{% endif %}
{%- for m in messages %}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('Conversation roles must alternate') }}{% endif %}
{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\\n' }}
{{- (m.content or '') | trim }}{{- '<end_of_turn>\\n' }}{% endfor %}
{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}{% endif %}
"""
MISTRAL = """
{%- set ns = namespace(last=-1) %}
{%- for m in messages if m.role == 'user' %}{% set ns.last = messages.index(m) %}{% endfor %}
{%- for m in messages %}
{%- if m.role == 'user' %}
{%- if tools and loop.index0 == ns.last %}
{{- '[AVAILABLE_TOOLS]' + (tools | tojson) + '[/AVAILABLE_TOOLS]' }}{% endif %}
{{- '[INST]' }}
{%- if loop.index0 == 1 and messages[0].role == 'system' %}
{{- messages[0].content + '\\n' }}{% endif %}
{{- m.content + '[/INST]' }}
{%- elif m.role == 'tool' %}{{- '[TOOL_RESULTS]' + m.content + '[/TOOL_RESULTS]' }}
{%- elif m.tool_calls %}{{- '[TOOL_CALLS]' }}
{%- for call in m.tool_calls %}
{%- if call.id | length != 9 %}{{- raise_exception('ids of nine letters') }}{% endif %}
{{- (call.function | tojson) + call.id }}{% endfor %}{{- '</s>' }}
{%- elif m.role == 'assistant' %}{{- ' ' + m.content + '</s>' }}{% endif %}{% endfor %}
"""
DEEPSEEK = """
{%- for m in messages %}
{%- if m.role == 'system' %}{{- m.content }}
{%- elif m.role == 'user' %}{{- '<|User|>' + m.content }}
{%- elif m.role == 'tool' %}{{- '<|tool_output|>' + m.content }}
{%- else %}{{- '<|Assistant|>' + (m.content or '').split('</think>')[-1] }}
{%- for call in m.tool_calls or [] %}
{{- '<|tool_call|>' + call.function.name + '\\n' + call.function.arguments }}{% endfor %}
{{- '<|end|>' }}{% endif %}{% endfor %}
{%- if add_generation_prompt %}{{- '<|Assistant|>' }}{% endif %}
"""
FAMILIES: Mapping[str, str] = {
    "qwen3": QWEN3, "llama3": LLAMA3, "gemma": GEMMA, "mistral": MISTRAL, "deepseek": DEEPSEEK,
}  # fmt: skip
SHIPPED = {
    "qwen3": "qwen3", "llama3": "llama3", "gemma": "gemma", "deepseek": "deepseekv3",
}  # fmt: skip
"""Those that TRL brings, and marks."""
ENDS = (
    "<|begin_of_text|>",
    "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>",
    "<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]", "</s>", "<|end|>", "<|User|>",
    "<|Assistant|>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "<\uff5cUser\uff5c>",
    "<\uff5cAssistant\uff5c>",
)  # fmt: skip
"""Special tokens, as the models of these families have them."""


def shipped(name: str) -> str | None:
    """TRL's own text of a family's template; None for Mistral's."""
    import trl

    folder = Path(trl.__file__).parent / "chat_templates"
    return (folder / f"{SHIPPED[name]}.jinja").read_text("utf-8") if name in SHIPPED else None


def with_template(model: Path, template: str) -> Any:
    """A tokenizer that writes a family's chats."""
    from tokenizers import AddedToken
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_tokens([AddedToken(each, special=True) for each in ENDS], special_tokens=True)
    tokenizer.bos_token = "<|begin_of_text|>"
    tokenizer.chat_template = template
    return tokenizer


class Words:
    """Texts that stand nowhere else in a conversation."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, chance: Random, kind: str) -> str:
        self.count += 1
        more = chance.choice(["", ' "so" they say\n', " \u00e9t\u00e9 {a: 1}", " 12.5%"])
        return f"{kind}{self.count}x{more}end{self.count}x".replace("  ", " ")

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}x"


def turn(chance: Random, say: Words) -> list[Json]:
    """A turn of the model, with the results of its calls."""
    message: Json = {"role": "assistant", "content": say(chance, "said")}
    if chance.random() < 0.5:
        message["reasoning_content"] = say(chance, "thought")
    calls = []
    for _ in range(chance.choice([0, 0, 1, 2])):
        arguments: Json = {say.name("key"): say(chance, "value")}
        if chance.random() < 0.5:
            arguments[say.name("key")] = chance.choice([1, 2.5, None, [1, "a"]])
        function = {"name": say.name("call"), "arguments": arguments}
        calls.append({"id": f"id{say.count:07d}", "type": "function", "function": function})
    if not calls:
        return [message]
    message |= {"tool_calls": calls, "content": chance.choice(["", message["content"]])}
    return [
        message,
        *(
            {"role": "tool", "tool_call_id": call["id"], "content": say(chance, "result")}
            for call in calls
        ),
    ]


def answer(chance: Random, say: Words, turns: int) -> list[Json]:
    """Turns of the model with questions between some; the last one calls nothing."""
    found = []
    for _ in range(turns):
        found += turn(chance, say)
        if found[-1]["role"] != "tool" or chance.random() < 0.5:
            found.append({"role": "user", "content": say(chance, "asked")})
    last = {"role": "assistant", "content": say(chance, "said")}
    if chance.random() < 0.5:
        last["reasoning_content"] = say(chance, "thought")
    return [*found, last]


def tool(say: Words) -> Json:
    name, field = say.name("tool"), say.name("field")
    shape = {"type": "object", "properties": {field: {"type": "string"}}, "required": [field]}
    return {
        "type": "function",
        "function": {"name": name, "description": "does it", "parameters": shape},
    }


def rows(chance: Random, sides: tuple[str, ...] = ("completion",)) -> Json:
    """A prepared row: prompt, tools, and completions of these names."""
    say = Words()
    prompt = [{"role": "user", "content": say(chance, "asked")}]
    if chance.random() < 0.5:
        prompt = [
            *prompt,
            *answer(chance, say, 0),
            {"role": "user", "content": say(chance, "asked")},
        ]
    if chance.random() < 0.25:
        prompt = [{"role": "system", "content": say(chance, "system")}, *prompt]
    tools = [tool(say) for _ in range(chance.choice([0, 1, 2]))] or None
    turns = chance.choice([0, 0, 1, 2])
    return {
        "prompt": prompt,
        "tools": tools,
        **{side: answer(chance, say, turns) for side in sides},
    }


def lost(row: Json, side: str, learned: str, whole: str) -> dict[str, bool]:
    """Whether something of a kind is not in a decoded text: of what the model said in what is
    learned, of the rest in the whole."""
    own = [each for each in row[side] if each["role"] == "assistant"]
    calls = [call["function"] for each in own for call in each.get("tool_calls", [])]
    kinds = {
        "said": [_first(each["content"]) for each in own if each["content"]],
        "thought": [
            _first(each["reasoning_content"]) for each in own if "reasoning_content" in each
        ],
        "call": [each["name"] for each in calls],
        "arguments": [key for each in calls for key in each["arguments"]],
    }
    found = {kind: any(word not in learned for word in words) for kind, words in kinds.items()}
    others = [each for each in row[side] if each["role"] != "assistant"]
    found["foreign"] = any(_first(each["content"]) in learned for each in others)
    told = [each for each in [*row["prompt"], *others] if each["content"]]
    found["shown"] = any(_first(each["content"]) not in whole for each in told)
    found["tools"] = any(each["function"]["name"] not in whole for each in row["tools"] or [])
    return found


def _first(text: str) -> str:
    return text.split("x")[0] + "x"


SAID = {
    "said": {"turn", "text"}, "thought": {"reasoning", "earlier reasoning", "thought"},
    "call": {"call"}, "arguments": {"arguments"}, "foreign": {"foreign"}, "shown": {"shown"},
    "tools": {"tools"},
}  # fmt: skip
"""How the check calls them."""
