"""The plan in plain numpy and loops: what the kernels decide is held against it, rule by rule and byte by byte.

It knows workers, cores, memory, whole devices, promises, victims, shares and money. What the plan has learned since is held by
`check` and by properties of its own."""
