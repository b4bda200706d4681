"""Routes by noun. Each function says what it asks access for, calls one command or one read, and answers with a document.

May never live here: a rule, a price, a state that follows another; those are the controller's."""
