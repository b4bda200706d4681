"""The command line: what people type, and what they read.

Here live the commands (`commands/`), the texts that people read in Korean and English (`texts/`), job files and code
archives as they come from disk, the process that a farm is (`farm/`), and the demo (`demo/`). Commands talk to the plane
through `dure.client` alone; only those that own a farm's data folder (up, down, backup, restore, migrate) go through
`dure.bootstrap`. All printing goes through `console.py`. What may never live here: a decision about who may do what,
what runs where, or what it costs; and no text for people outside the catalogue.
"""

from dure.cli.app import main

__all__ = ["main"]
