"""What a change of the events does to those who read them.

`revisions` reads the old files, `schemas` follows references, `compatibility` and `demands` decide
what readers would notice.
"""
