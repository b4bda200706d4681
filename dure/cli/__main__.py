"""`python -m dure.cli`: the same as the `dure` command, also where its script is not on the path."""

from dure.cli.app import main

main()
