"""The command line: one module a command group; this one only finds them, and turns errors into exit codes."""
