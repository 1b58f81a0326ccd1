"""What only the register of all England can see: children whom two authorities hold, and those whom nobody does any more."""
