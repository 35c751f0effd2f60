"""The whole operator on a simulated cluster and record, in virtual time, with injected faults.

The code under test is real from the work queue down to the `Cluster` port's own adapter; below it stand
an API server, a Job controller, a kubelet and a record that behave as the real ones do. A `Plan` says
what happens and what goes wrong; the same plan always plays out the same way.
"""
