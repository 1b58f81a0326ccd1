"""To rehearse: a synthetic England, its authorities' files with every common fault, and a server to drop them on."""
