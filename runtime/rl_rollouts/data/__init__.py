"""One line of a rollout file becomes a `Rollout`, and a rollout becomes rows.

read -> normalise -> filter -> group by task -> build -> split

rollout.py        the types: Rollout, Message, ToolCall
read.py           files, folders, stdin, line by line       compressed.py   gzip and zstd
  containers.py   files of records that are no lines        keys.py         what nothing reads
record.py         a line, decoded as far as it is read     items.py        its messages
normalise.py      a record becomes a Rollout, or a reason why it cannot
  forms.py        by its keys, in which form it is          reward.py       what it was worth
  fate.py         truncated, failed, masked                 beside.py       beside the content
  named.py        its keys under other names
  responses.py    NeMo Gym's records                        chats.py        plain chat records
  conversation.py items become messages                     content.py, reasoning.py
  straight.py     the usual record at once, without the steps above
same.py           when prompts, messages and rollouts are the same
filter.py         rules over one rollout, and their names
hooks.py          a project's own functions
  called.py       how they are called and fail              settle.py       what they return, whole
build.py          pairs, judged rollouts, trajectories      split.py        what is held out
rows.py           what the rows of several frameworks share
tokens.py         length in tokens
"""
