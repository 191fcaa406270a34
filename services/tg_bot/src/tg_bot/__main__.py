"""`python -m tg_bot`."""

from tg_bot.main import main

main()
