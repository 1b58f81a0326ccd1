"""Who a person is: the trace against PDS by file exchange, what it settles, and whom to tell of it. All of it is pure."""
