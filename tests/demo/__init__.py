"""`make demo`: everything on one machine, and a real proc run to its end before your eyes."""
