"""Somebody who listens in a container, and somebody who tries to connect."""

LISTENER = "debian:trixie-slim"
LISTEN = (
    "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => {}, Listen => 9, "
    "ReuseAddr => 1) or die; while (1) {{ my $c = $s->accept; close $c if $c; }}"
)
# What can be reached of ADDRESS PORT ADDRESS PORT …, all at once.
TRY = """
import concurrent.futures, socket, sys
def reached(place):
    try:
        socket.create_connection((place[0], int(place[1])), 1).close()
    except OSError:
        return False
    return True
places = list(zip(sys.argv[1::2], sys.argv[2::2]))
with concurrent.futures.ThreadPoolExecutor(len(places)) as pool:
    for place, there in zip(places, pool.map(reached, places)):
        if there:
            print(*place)
"""
