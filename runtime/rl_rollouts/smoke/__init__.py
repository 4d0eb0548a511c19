"""The tiny run of `make smoke`.

tiny_model.py   a model small enough for any CPU
toy.py          a reward that it can learn
verify.py       whether it learned anything
"""
