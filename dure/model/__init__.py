"""The nouns of Dure: frozen records, which state may follow which, Reason, money and time as integers with units.

Here live values and pure functions on them. Never here: a clock, chance, I/O, logging, a decision about anybody's work,
or an import from another package of Dure but `errors`. Civil time is spoken in `calendar` alone, and people's words are
made in `render` alone.
Import the module that holds the noun: `from dure.model.workload import Workload`.
"""
