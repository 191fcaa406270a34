"""What runs on the host, sent there as one file: Python 3.10 or newer and nothing else.

The cut-over is one process of the host's own, so that a lost SSH connection cannot stop it
half-way.
It writes down what it is about to do before it does it; whatever finds the journal unfinished
undoes it, or finishes it once it is past the point of commitment.

host/     the server: folders, files, locks, engine, a release as it lies there; it imports no other
copies/   the stores' copies on three servers, as one of these sees them; it imports host/ alone
cutover/  one release in place of another, or undone; it imports host/ and copies/
data/     backups, put in place too; it imports host/ and copies/

Beside them is what stands on all: moving.py takes the data from one server to three, and back.
"""
