"""Readers, fleets and the generator: nothing of others is kept here; small logs are written by the tests themselves."""
