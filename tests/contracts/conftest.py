"""Fixtures of the contract tests: a real PostgreSQL."""

from tests.builders.postgres import postgres_server, postgres_url

__all__ = ["postgres_server", "postgres_url"]
