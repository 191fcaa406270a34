"""`python -m tg_bot`."""

import gc
import sys

gc.disable()  # nothing that an import makes is garbage; looking for it costs a tenth of the start

from tg_bot.main import main  # noqa: E402 — after the line above

gc.freeze()  # nor will it ever be: no later collection walks through it
gc.enable()

sys.exit(main())
