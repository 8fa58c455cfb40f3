"""One report of one machine: parity, the comparison of the methods, and all that it rests on."""
