"""Trained models: where they lie, what they are, and what of a conversation they learn.

folders.py      what lies in the folder of a model, and how it is loaded
weights.py      weights that several processes wrote a part each
export.py       the model for serving
devices.py      on which GPUs it generates
generation.py   responses of a model in this process
packed.py       attention of sequences that share a row
chat_masks.py   a conversation as tokens, and which of them are learned: the model's turns
after_prompt.py the same where all that follows the prompt is learned
copies.py       a row in which each part is a word of its own
left_out.py     what a chat template leaves out of a row
learned.py      all rows of a file as a trainer learns them, counted: what `make check` says
"""
