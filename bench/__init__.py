"""Measurements of the running system, with their method beside each number. Never part of the tests: machines differ."""
