"""From rollouts to training data.

    read -> normalise -> filter -> group by task -> build -> split -> write

Start with `pipeline.py`, which puts the steps in order. What each of them is:

    rollout.py        the types: Rollout, Message, ToolCall
    read.py           files, folders, stdin, line by line       compressed.py   gzip and zstd
    record.py         a line, decoded as far as it is read
    normalise.py      a record becomes a Rollout, or a reason why it cannot
      responses.py    NeMo Gym's records                        chats.py        plain chat records
      conversation.py items become messages                     content.py, reasoning.py
    same.py           when prompts, messages and rollouts are the same
    filter.py         rules over one rollout, and their names
    choose.py         rules between the rollouts of a task, and pairs
    build.py          pairs, judged rollouts, trajectories      split.py        what is held out
    formats/          what a row looks like, a file a framework; schemas/ has ours
    write.py          files that appear when whole              parquet.py, deliver.py

How it is run on inputs of any size:

    run.py            spans of the input, counts, the end       commands.py, values.py
    stage.py          one span: lines in, rows and index out    work.py         the folder of a run
    index.py          a few bytes a row, to compare rows by     gather.py       choose, copy, pair
    engine.py         one process, several, or Ray              manifest.py     what was done
    look.py, survey/  what rollouts hold                        report/         `make report`
    recorded.py       rollouts as a reward function sees them, for `make rewards`
    validate.py       whether rows are as schemas/ says

Any step can be replaced: they are plain functions over the types, and only `read`, `stage`, `work`,
`gather` and `write` touch files.
"""
