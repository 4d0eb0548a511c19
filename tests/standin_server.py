"""What vLLM 0.30.0 answers to the requests of custom_rollouts.py, with transformers behind it.

python standin_server.py MODEL PORT [--production]

As in vLLM (entrypoints/openai/completion/protocol.py, entrypoints/serve/dev/): completions of token
ids with the log-probability of each sampled token, weights reloaded from a folder of safetensors,
and both endpoints for that only in the development mode.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file

MODEL, PORT, PRODUCTION = sys.argv[1], int(sys.argv[2]), "--production" in sys.argv
model: Any = transformers.AutoModelForCausalLM.from_pretrained(MODEL).eval()
lock = threading.Lock()
reloads: list[str] = []


def complete(body: dict[str, Any]) -> dict[str, Any]:
    allowed = {"model", "prompt", "max_tokens", "temperature", "top_p", "top_k", "min_p"}
    allowed |= {"repetition_penalty", "logprobs", "return_token_ids"}
    assert set(body) == allowed and body["model"] == MODEL and body["return_token_ids"]
    tokens = torch.tensor([body["prompt"]])
    written, logprobs = [], []
    with lock, torch.inference_mode():
        for _ in range(body["max_tokens"]):
            scores = model(tokens).logits[0, -1].float() / body["temperature"]
            token = int(torch.multinomial(scores.softmax(-1), 1))
            written.append(token)
            logprobs.append(float(scores.log_softmax(-1)[token]))
            tokens = torch.cat([tokens, torch.tensor([[token]])], dim=1)
            if token == model.config.eos_token_id:
                break
    return {"choices": [{"token_ids": written, "logprobs": {"token_logprobs": logprobs}}]}


def reload(body: dict[str, Any]) -> dict[str, Any]:
    assert body["method"] == "reload_weights"
    with lock:
        weights = load_file(Path(body["kwargs"]["weights_path"]) / "model.safetensors")
        missing, unknown = model.load_state_dict(weights, strict=False)
        assert not unknown and set(missing) <= {"lm_head.weight"}
        reloads.append(body["kwargs"]["weights_path"])
    return {"results": [None]}


class Handler(BaseHTTPRequestHandler):
    def answer(self, content: Any, code: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        known = {"/health": {}, "/v1/models": {"data": [{"id": MODEL}]}, "/reloads": len(reloads)}
        self.answer(known.get(self.path), 200 if self.path in known else 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/completions":
            self.answer(complete(body))
        elif self.path == "/collective_rpc" and not PRODUCTION:
            self.answer(reload(body))
        elif self.path == "/reset_prefix_cache" and not PRODUCTION:
            self.answer({"success": True})
        else:
            self.answer({"detail": "Not Found"}, 404)

    def log_message(self, *_: object) -> None:
        pass


torch.set_num_threads(1)
torch.manual_seed(0)
ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
