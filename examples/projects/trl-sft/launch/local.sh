#!/usr/bin/env bash
# Train on the GPUs of this machine. Arguments go to the training script.
#
#   launch/local.sh
#   DATA=other.jsonl CONFIG=other.yaml launch/local.sh --learning_rate 2e-5
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-.venv/bin/python}

wanted=2
# Without a driver nvidia-smi says so where the numbers would stand.
gpus=$(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null | grep -E '^[0-9]+$' || true)
visible=${CUDA_VISIBLE_DEVICES:-$(paste -sd, <<<"$gpus")}
present=$(tr ',' '\n' <<<"$visible" | grep -c . || true)
if ((present < wanted)); then
  echo "error: this project was planned for $wanted GPU(s), and this machine shows $present." >&2
  if ((present > 0)); then
    echo "Render it again with --gpus-per-node $present." >&2
  else
    echo "On a machine without GPUs only 'make smoke' trains." >&2
  fi
  exit 2
fi
if [[ -f .env ]]; then
  set -a
  source .env
  set +a
fi
words=(-m accelerate.commands.launch --config_file accelerate_config.yaml)
more=()
# Exactly as many as planned: a trainer that sees more would use them in another way.
CUDA_VISIBLE_DEVICES=$(cut --delimiter=, --fields="1-$wanted" <<<"$visible")
export CUDA_VISIBLE_DEVICES
# What processes have after SIGTERM, to end a step and save; torchrun's own 30 seconds are short.
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=${TORCH_ELASTIC_SHUTDOWN_TIMEOUT:-600}
words+=(train_trl.py --data_path "${DATA:-training_data.jsonl}" --config "${CONFIG:-trl_config.yaml}")
exec "$python" "${words[@]}" "${more[@]}" "$@"
