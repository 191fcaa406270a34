"""Photos: the one that a call brings or names, and where files are downloaded from."""

from telegram_sim.api.errors import BadRequestError
from telegram_sim.api.parameters import Upload
from telegram_sim.api.serial import Json, encode
from telegram_sim.methods.call import Call, Result
from telegram_sim.world.files import FileError


async def get_file(call: Call) -> Result:
    """Return where a file is downloaded from."""
    file_id = call.parameters.string("file_id")
    if not file_id:
        raise BadRequestError("file_id not specified")
    file = call.simulator.files.get(file_id, call.bot.id)
    if file is None:
        raise BadRequestError("invalid file_id")
    return Result(encode(file.file()))


def read_photo(call: Call, given: str | None = None) -> Json:
    """Return the field of a Message that a photo makes.

    A photo is uploaded, as the part of its own name or the one that `attach://` names, or it is
    the file_id of one that the bot knows. A URL is not fetched: the simulator is offline.

    Args:
        call: The call.
        given: What stands for the photo in InputMedia; None for the parameter of that name.

    Raises:
        BadRequestError: There is none, or it is no photo.
    """
    photo = call.parameters.file("photo", given)
    if photo is None:
        raise BadRequestError("there is no photo in the request")
    if isinstance(photo, Upload):
        try:
            added = call.simulator.files.add_photo(call.bot.id, photo.content)
        except FileError as problem:
            raise BadRequestError(str(problem)) from None
        return {"photo": [added.photo_size()]}
    if "://" in photo:
        raise BadRequestError("failed to get HTTP URL content")
    known = call.simulator.files.get(photo, call.bot.id)
    if known is None:
        raise BadRequestError("wrong file identifier/HTTP URL specified")
    return {"photo": [known.photo_size()]}
