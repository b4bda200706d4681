"""The process that `dure up` is: the lock on the data folder, the plane's server, and the site's agent as a child.

May never live here: what a farm consists of (that is `dure.bootstrap`), or anything that a job's life depends on: jobs run under
their shims, and this process may be killed at any moment.
"""
