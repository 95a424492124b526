"""What a machine answers when it is asked how busy it is."""

from __future__ import annotations

USAGE = """\
uptime 1000.50
cores 4
cpu 100 20 30 800 50 4 6 10 70 0
load 1.25
memory 8000 2000
disk 10 20
net 1000 3000
celsius 61500
data 400 100
end
"""
