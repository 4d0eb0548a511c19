"""Trained models: where they lie, what they are, and what of a conversation they learn.

folders.py      what lies in the folder of a model, and how it is loaded
weights.py      weights that several processes wrote a part each
export.py       the model for serving
generation.py   responses of a model in this process
chat_masks.py   a conversation as tokens, and which of them are learned
"""
