"""A backend on which nothing runs: for the simulator and for tests. Everything is in memory and follows from the Clock.

What lives here: scripted attempts and what becomes of them (`script`, pure), and the Driver with its fault hooks (`driver`). What
may never live here: real time, chance, processes, files. The FakeDriver object is the site's memory: keep it across a
pretended restart of the agent, as the local backend keeps its files."""

from dure.backends.fake.driver import FakeDriver
from dure.backends.fake.script import Script

__all__ = ["FakeDriver", "Script"]
