"""What we send: sealed, durable in the outbox before the commit that names it, and delivered only when read back equal."""
