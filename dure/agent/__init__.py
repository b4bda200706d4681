"""What runs at a site: it collects orders from the plane, carries them out through one backend, and reports what is.

Here live the journal (an attempt is never launched twice, an end is never forgotten), the fence on attempt epochs, the
cache of code bundles, the way of logs to their readers, and the loops that go on alone while the link is down. Never here:
a decision about whose work runs, money, the code of a backend, HTTP (that is `client.link`), or a restart of anything by the
agent's own will. `ports.Driver` is all that is known of a backend; its verbs are called from several threads, but never launch
and stop at once for one attempt.

    attempts   pure: what the agent knows of one attempt, and what an order asks of it
    journal    what is known, on disk: written before the deed, durable when the call returns
    book       what is known, in memory, in step with the journal
    agent      the steps, without threads: connect, step_orders, step_observe, step_logs
    runner     the threads around the steps
"""
