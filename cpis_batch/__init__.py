"""The CP-IS batch file exchange: LA extracts in, a national register, answers, CHIS extracts and access reports out."""

__version__ = "0.1.0"
