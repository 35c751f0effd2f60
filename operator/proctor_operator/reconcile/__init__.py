"""Pure decisions: what is known and the time in, actions and status out."""
