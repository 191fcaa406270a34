"""How a bot answers a pressed button."""

from telegram_sim.api.errors import BadRequestError
from telegram_sim.formatting.entities import utf16_length
from telegram_sim.methods.call import TRUE, Call, Result

LONGEST_ANSWER = 200


async def answer_callback_query(call: Call) -> Result:
    """Answer a pressed button."""
    parameters = call.parameters
    text = parameters.string("text")
    if utf16_length(text) > LONGEST_ANSWER:
        raise BadRequestError("MESSAGE_TOO_LONG")
    press = call.simulator.presses.answer(
        call.bot.id,
        parameters.text("callback_query_id"),
        text=text,
        show_alert=parameters.flag("show_alert"),
        url=parameters.text("url"),
    )
    if press is None:
        raise BadRequestError(
            "query is too old and response timeout expired or query ID is invalid"
        )
    call.simulator.tell(type="answered", bot=call.bot.id, press=press.json())
    return TRUE
