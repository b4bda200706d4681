"""What people (and agents) ask for: one plain function each, `command(tx, deed, ...) -> value | Reason`.

A command checks everything before it writes anything, so that a refusal leaves nothing behind. It knows no HTTP, no clock and
no randomness of its own; it never waits. Access is decided before it is called."""
