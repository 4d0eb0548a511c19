"""What `evaluate.py` is made of.

command.py    its command line
prompts.py    held-out prompts, and which of them fit into a model
generate.py   responses to them, with their rewards
pairs.py      reward models: scores of held-out pairs
table.py      what was measured, for a terminal and as JSON
report.py     the same as Markdown, with samples side by side
"""
