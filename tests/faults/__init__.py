"""Faults on real parts: the operator's process, the API server, PostgreSQL and the wires between them.

Everything here plays at the edges of real programs: a proxy on the wire, signals to processes, a kubelet's
part played over the API. What holds is told by an oracle that shares no code with the operator.
"""
