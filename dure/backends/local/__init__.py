"""The backend of one machine: every attempt runs under a small shim process of its own.

What lives here: the driver (`driver`, called by the agent), the shim (`shim` and what it imports: `files`, `processes`,
`memory`, `cgroups`, `checkpoints`, `sandbox`, `space`, `workers`, `unpack`, `inherit`, standard library only and quick to load),
what the driver needs to make an order of a LaunchOrder and to describe itself (`cpus`, `environment`, `isolation`, `limits`,
`machine`, `orders`, `settings`), and what becomes of ended attempts (`retention` decides, `housekeeping` carries out, `trash`
deletes), and what still runs where no farm does (`survivors`). What may never live here: a decision about which work runs, money,
the network, a tenant's code inside the agent's process. This file imports nothing, so that a shim starts fast.

**State is files only.** `<root>/attempts/<attempt>/` holds `order.json`, `lock`, `wake` (a FIFO), `log.<rank>`, `run`, `stop`,
`exit`, `shim.log`; each of `run`, `stop` and `exit` is written to a temporary file, synced and renamed. One shim runs all ranks
of a gang: the machine is one node, so "all ranks or none" is decided in one place and there is one record to adopt.
`<root>/workloads/<workload>/{work,checkpoint,out}` outlives the attempt until it is swept (beside them the farm's notes:
`project`, `unpacked`, `inherited`; `inherited.new` is a copy of an origin's checkpoint, not whole yet); `<root>/tmp/<attempt>`
and `<root>/shm/<attempt>` (where the shim, in its own view of mounts, keeps the attempt's /dev/shm) do not.

**The lock is the truth about life.** The driver takes a `flock` on `lock` *before* the attempt becomes visible and hands that
open file to the shim; the kernel frees it when the last process that holds it is gone, whatever killed it. So: lock busy = a
launch or a shim is alive; lock free = none is, and none can come to life, because nobody takes the lock for launching twice.
(boot id, pid, start time) in `run` is the second witness, for file systems on which locks are not to be trusted.

**Windows of a launch**, and what is answered when the caller is killed in each:

1. before the rename: only `.new-*` exists, which nobody reads; launching again launches.
2. the rename of the prepared folder to `<attempt>` is the claim: atomic, and refused when the attempt exists. Behind it, before
   the shim is spawned: lock free, no `run`, no `exit` -> the next look writes `exit` = rejected, "never_started". Nothing ran,
   and nothing will.
3. between fork and exec of the shim: the child holds the lock and goes on to become the shim -> launched.
4. the shim is there and has not written `run`: lock busy -> "launching". If it dies here no tenant command has been let go
   (`run` is durable before the first one is) -> rejected, "never_started".
5. `run` is there: lock busy -> "running"; lock free and no `exit` -> whatever it left is killed (a PID namespace's init dies with
   its shim, and everything with it), then `exit` = lost, billed up to `run`.
6. `exit` is there: ended, for good. A forgotten or swept attempt leaves a tombstone, so that a late order cannot run
   it again.
"""
