"""Dure (두레): the control plane that makes the AI computing of many sites one service."""

__version__ = "0.1.0"
