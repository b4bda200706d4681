"""What runs work at a site: one folder for each backend, each a Driver of five idempotent verbs behind one contract test.

Here live `local` (processes of one machine) and `fake` (nothing runs; for the simulator and for tests). May never live here: a
decision about which work runs, money, an import of one backend by another, or a verb that is not safe to repeat. Nothing is
exported: only `dure.bootstrap` picks a backend, and the simulator its fake.
"""
