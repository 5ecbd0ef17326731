"""Homes, a carrier, a cloud and an internet between them, in network namespaces: for calls through NAT.

::

    cone   10.66.0.10 ── router ──┐                                  ┌── 198.51.100.20 public   (a bot, or none)
    symm.  10.66.0.10 ── router ──┼── 198.51.100.0/24, the internet ─┤
    silent 10.66.0.10 ── router ──┘      .10 and .11 STUN and TURN   └── router .2 ── 192.168.50.10 home (a bot)
                                                                                  └── 192.168.50.20 near
"""
