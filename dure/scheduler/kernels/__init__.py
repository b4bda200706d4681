"""The hot loops: compiled once by numba, each of which also runs uncompiled and then gives the same bytes.

What lives here: functions over arrays of integers (and of floats where an order needs them), of which `plan` and the simulator's
fast path are made. What may never: an object, a string, an allocation per waiting workload, a random number, a sum whose order is
not fixed, or a rule that only one of the two knows. `jit` says how they are compiled, `ground` what they work on. The tests hold
the rules that it knows against a plan in plain numpy (tests/plain).

The plan's, from the bottom: `sorting`, `index` and `room` (what is free now), `board` (who leaves when, and what is kept for
whom), `seat`, `future`, `victims` and `moves` (where a gang sits now, later, behind others, once they have moved), `sit` (taking
seats), `purse`, `quota`, `reclaim`, `power` and `standing` (may it at all), `turns` (in which order), `sites` (where to look),
`state`, `elastic`, `moving`, `promised` and `cycle` (the loop), `short`, `barred` and `verdicts` (why the others wait, in the
numbers of `waits`). Of packings other than the fullest node first: `packing` and `fragments` (the scores), `packed` and `liking`.
"""
