"""`make demo`: the whole stack as processes of this machine, with an offline Telegram.

wiring     what each service's variables are worth here, from the plan of services.yml
processes  the processes, their logs and their end
scenario   what the demo does, step by step, each within its time
transcript how it looks
"""
