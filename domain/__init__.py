"""Which values and rules does the method consist of?  Pure: no I/O, no clock, no Prefect."""
