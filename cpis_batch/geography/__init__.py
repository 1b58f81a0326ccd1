"""Where places lead: public lists taken into the dated tables, whether all leads somewhere, a vesting day rehearsed. Pure."""
