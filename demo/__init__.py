"""`make demo`: the whole stack as processes of this machine, with an offline Telegram.

wiring      what each service's variables are worth here, from the plan of services.yml and .env
processes   the processes, their logs and their end
stack       starts what services.yml declares, says what fails, starts a service again
saves       starts again what was saved
happenings  what happens in a stack: messages, entries, who has handled them, rows
watch       looks for it
scenario    what the demo says by itself, each message followed to its end
chat        the prompt at a terminal
transcript  how it looks
"""
