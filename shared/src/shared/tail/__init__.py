"""`python -m shared.tail`: follow the streams, as `make events` does.

    entries   an entry or dead letter as it is shown, and which of them are meant
    groups    how far the groups of a stream are, and how many dead letters it has
    follow    what happens from now on, or since a time, read from Redis or from a process elsewhere
    shown     how that looks
    command   the options, and the end
    screen    the terminal: a status line below everything, and the keys that end it

It reads only, joins no group and takes nothing from anybody.
"""
