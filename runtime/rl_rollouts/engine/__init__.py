"""The functions of `data/` over inputs of any size. Only here are files written.

run.py            spans of the input, counts, the end       work.py         the folder of a run
stage.py          one span: lines in, rows and index out    joined.py       rows of ended spans
streams.py        its rows of each kind                     index.py        to compare rows by
choose.py         rules between the rollouts of a task, and pairs
gather.py         from rows of spans to rows of outputs
write.py          files that appear when whole              parquet.py, deliver.py
stored.py         prepared rows, one at a time
manifest.py       what was done                             progress.py     how far it has come
engine.py         one process, several, or Ray
"""
