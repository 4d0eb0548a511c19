"""A copy of a row in which each thing that it says is a word of its own."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from .chat_masks import Chat

Lost = Literal[
    "tools", "turn", "text", "reasoning", "thought", "earlier reasoning", "call", "arguments",
    "shown", "foreign", "python", "quoted", "stop",
]  # fmt: skip
REASONING = ("reasoning_content", "reasoning", "thinking")
CLOSE = "</think>"


class Part(NamedTuple):
    """One thing that a row says, and the word that stands for it."""

    word: str
    kind: Lost
    turn: int
    """The message that it is of; tools are of none: -1."""
    model: bool
    """Whether the model wrote it."""
    form: str = ""
    """Arguments: as Python writes them, or the JSON text that they are."""


class Copy:
    """A row in which each part is a word of its own."""

    def __init__(self, prompt: Chat, sides: Sequence[Chat], tools: Any) -> None:
        self._ids: dict[str, str] = {}
        self._count = self._turn = 0
        self.tool_parts: list[Part] = []
        self.tools = [self._tool(each) for each in tools] if isinstance(tools, list) else tools
        self.prompt_parts: list[Part] = []
        self.prompt = [self._message(each, self.prompt_parts) for each in prompt]
        self.side_parts: list[list[Part]] = [[] for _ in sides]
        self.sides = [
            [self._message(each, parts) for each in side]
            for side, parts in zip(sides, self.side_parts, strict=True)
        ]

    def key(self) -> bytes:
        """The same for rows with the same parts."""
        return msgspec.json.encode([self.tools, self.prompt, self.sides])

    def _word(self) -> str:
        self._count += 1
        return f"part{self._count:04d}x"

    def _tool(self, tool: Any) -> Any:
        function = tool.get("function", tool) if isinstance(tool, dict) else {}
        found: dict[str, Any] = {"name": self._word(), "description": self._word()}
        self.tool_parts.append(Part(found["name"], "tools", -1, False))
        if (function.get("parameters") or {}).get("properties"):
            name = self._word()
            field = {"type": "string", "description": "a value"}
            shape = {"type": "object", "properties": {name: field}, "required": [name]}
            found["parameters"] = shape
            self.tool_parts.append(Part(name, "tools", -1, False))
        return {"type": "function", "function": found}

    def _message(self, message: dict[str, Any], parts: list[Part]) -> dict[str, Any]:
        self._turn += 1
        model = message["role"] == "assistant"
        note = self._noter(parts, model)
        copy: dict[str, Any] = {"role": message["role"]}
        if "content" in message:
            copy["content"] = self._content(message["content"], note)
        if keys := [key for key in REASONING if str(message.get(key) or "").strip()]:
            word = note("reasoning")
            copy |= dict.fromkeys(keys, word)
        if message.get("tool_calls"):
            copy["tool_calls"] = [self._call(each, note, parts) for each in message["tool_calls"]]
        if message.get("tool_call_id") is not None:
            copy["tool_call_id"] = self._id(message["tool_call_id"])
        if "name" in message:
            copy["name"] = "name"
        return copy

    def _noter(self, parts: list[Part], model: bool) -> Callable[[Lost], str]:
        turn = self._turn

        def note(kind: Lost) -> str:
            word = self._word()
            parts.append(Part(word, kind, turn, model))
            return word

        return note

    def _content(self, content: Any, note: Callable[[Lost], str]) -> Any:
        if isinstance(content, list):
            return [self._part(each, note) for each in content]
        if not isinstance(content, str) or not content.strip():
            return content
        thought, close, rest = content.rpartition(CLOSE)
        if not close:
            return note("text")
        opened = "<think>" * ("<think>" in thought)
        said = note("thought") if thought.replace("<think>", "").strip() else ""
        return f"{opened}{said}{CLOSE}{note('text') if rest.strip() else ''}"

    def _part(self, part: Any, note: Callable[[Lost], str]) -> Any:
        text = part.get("text") if isinstance(part, dict) else None
        return part if text is None else {**part, "text": self._content(text, note)}

    def _call(self, call: Any, note: Callable[[Lost], str], parts: list[Part]) -> Any:
        within = isinstance(call.get("function"), dict)
        function = call["function"] if within else call
        found: dict[str, Any] = {"name": note("call")}
        given = function.get("arguments")
        found["arguments"] = given
        if given and (isinstance(given, dict) or str(given).strip() not in {"{}", ""}):
            named = {note("arguments"): note("arguments")}
            found["arguments"] = named if isinstance(given, dict) else json.dumps(named)
            form = repr(named) if isinstance(given, dict) else json.dumps(found["arguments"])[1:-1]
            parts[-1] = parts[-1]._replace(form=form)
        copy = {key: each for key, each in call.items() if key == "type"}
        if call.get("id") is not None:
            copy["id"] = self._id(call["id"])
        return {**copy, "function": found} if within else {**copy, **found}

    def _id(self, name: Any) -> str:
        """Nine letters and digits, as some chat templates demand."""
        return self._ids.setdefault(str(name), f"id{len(self._ids):07d}")
