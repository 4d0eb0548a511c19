"""One HTML file that shows what rollouts hold and what became of them.

    python -m dataprep.report --rollouts rollouts.jsonl --output report.html

`page.py` puts the sections in order, `sections.py`, `stages.py`, `tokens.py` and `reading.py` write
them, `charts.py` draws, and `lengths.py` measures the training rows. Nothing in the page comes from
the network and nothing in it runs; whatever stands in rollouts goes through `markup.py`, which
escapes it.
"""
