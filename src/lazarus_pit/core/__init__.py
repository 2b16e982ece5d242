"""DECIDE. Pure: no clock, chance, file, process, network or log in here."""
