"""From the register to the CHIS units: which fortnight is due, who belongs to which unit, what each file says."""
