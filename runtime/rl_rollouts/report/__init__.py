"""One HTML file that shows what rollouts hold and what became of them; and the curves of a run.

    python -m rl_rollouts.report --rollouts rollouts.jsonl --output report.html
    python -m rl_rollouts.report.plot outputs/my-run/log.jsonl --output curve.html

    page.py        the sections in their order          text.py       the same for a terminal
    sections.py    rewards, tasks, shape, tools         stages.py     what became of them
    tokens.py      training rows in tokens, of lengths.py and rows.py; trainer.py: their limit
    reading.py     samples, to be read                  charts.py, tables.py, numbers.py
    plot.py        a run's curves, by log.py and curves.py

Nothing in the pages comes from the network, and nothing in them runs; whatever stands in rollouts
goes through `markup.py`, which escapes it.
"""
