"""Photos: sent, received, named by file_id, downloaded, and changed."""

import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from telegram_sim.client import SimClient, SimProcess, SimRefusedError

Call = Callable[..., Awaitable[dict[str, Any]]]
Download = Callable[[str], Awaitable[bytes]]


def png(width: int = 3, height: int = 2) -> bytes:
    """Return a PNG of these sides: its header is all that anybody here looks at."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I4s", len(body), kind) + body + zlib.crc32(kind + body).to_bytes(4)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")


@pytest.fixture
def post(url: str, token: str, http: aiohttp.ClientSession, sim: SimClient) -> Call:
    """Calls a method as multipart, with files; user 7 has written before."""

    async def call(
        method: str, files: dict[str, bytes] | None = None, **fields: str
    ) -> dict[str, Any]:
        await sim.write("/start", user=7)
        body = aiohttp.FormData({"chat_id": "7", **fields}, default_to_multipart=True)
        for name, content in (files or {}).items():
            body.add_field(name, content, filename="picture")
        async with http.post(f"{url}/bot{token}/{method}", data=body) as response:
            answer: dict[str, Any] = await response.json()
            return answer

    return call


@pytest.fixture
def download(url: str, token: str, http: aiohttp.ClientSession) -> Download:
    """Downloads a file as the test's own bot."""

    async def get(path: str) -> bytes:
        async with http.get(f"{url}/file/bot{token}/{path}") as response:
            assert response.status == 200
            return await response.read()

    return get


@pytest.mark.parametrize(
    ("part", "fields"), [("photo", {}), ("elsewhere", {"photo": "attach://elsewhere"})]
)
async def test_a_photo_is_sent_and_downloaded(
    api: Call, post: Call, download: Download, part: str, fields: dict[str, str]
) -> None:
    """The photo comes in its own part or in the one that attach:// names, and goes out the same."""
    sent = await post("sendPhoto", {part: png()}, caption="*a* b", parse_mode="Markdown", **fields)
    message = sent["result"]
    assert (message["caption"], message["caption_entities"][0]["type"]) == ("a b", "bold")
    assert "text" not in message
    (size,) = message["photo"]
    assert (size["width"], size["height"], size["file_size"]) == (3, 2, len(png()))
    file = (await api("getFile", file_id=size["file_id"]))["result"]
    assert file["file_unique_id"] == size["file_unique_id"]
    assert await download(file["file_path"]) == png()


async def test_a_photo_that_is_known_is_sent_again(api: Call, post: Call) -> None:
    """A file_id stands for the photo; sent twice, it is one file."""
    first = (await post("sendPhoto", {"photo": png()}))["result"]["photo"]
    assert (await post("sendPhoto", {"photo": png()}))["result"]["photo"] == first
    again = await api("sendPhoto", chat_id=7, photo=first[0]["file_id"])
    assert again["result"]["photo"] == first


@pytest.mark.parametrize(
    ("files", "fields", "reason"),
    [
        ({}, {}, "there is no photo in the request"),
        ({"other": png()}, {}, "there is no photo in the request"),
        ({"photo": png()}, {"photo": "attach://x"}, "there is no photo in the request"),
        ({"photo": b""}, {}, "file must be non-empty"),
        ({"photo": b"no picture"}, {}, "IMAGE_PROCESS_FAILED"),
        ({"photo": png(9000, 1001)}, {}, "PHOTO_INVALID_DIMENSIONS"),
        ({"photo": png(21, 1)}, {}, "PHOTO_INVALID_DIMENSIONS"),
        ({"photo": png()}, {"caption": "x" * 1025}, "message caption is too long"),
        ({}, {"photo": "AgAC"}, "wrong file identifier/HTTP URL specified"),
        ({}, {"photo": "https://example.org/a.png"}, "failed to get HTTP URL content"),
    ],
)
async def test_a_wrong_photo_is_refused(
    post: Call, files: dict[str, bytes], fields: dict[str, str], reason: str
) -> None:
    """Every mistake gets a 400 in Telegram's words."""
    answer = await post("sendPhoto", files, **fields)
    assert answer["description"] == f"Bad Request: {reason}"


async def test_a_file_is_its_bots_own(
    url: str, http: aiohttp.ClientSession, token: str, api: Call, post: Call
) -> None:
    """Another bot's file_id opens nothing, nor does a token that nobody has."""
    sent = await post("sendPhoto", {"photo": png()})
    file = (await api("getFile", file_id=sent["result"]["photo"][0]["file_id"]))["result"]
    other = f"1{token}"
    query = {"file_id": file["file_id"]}
    async with http.get(f"{url}/bot{other}/getFile", params=query) as response:
        assert (await response.json())["description"] == "Bad Request: invalid file_id"
    for bot, code in ((other, 404), ("nobody", 401)):
        async with http.get(f"{url}/file/bot{bot}/{file['file_path']}") as response:
            assert (response.status, (await response.json())["error_code"]) == (code, code)
    assert (await api("getFile"))["description"] == "Bad Request: file_id not specified"


async def test_a_person_sends_a_photo(
    http: aiohttp.ClientSession, sim: SimClient, api: Call, download: Download
) -> None:
    """The bot gets it as Telegram would tell it, and can download it."""
    written = await sim.write("look /here", user=7, photo=png())
    (update,) = (await api("getUpdates"))["result"]
    message = update["message"]
    assert message == written.raw
    assert (message["caption"], "text" in message) == ("look /here", False)
    assert message["caption_entities"][0]["type"] == "bot_command"
    file = (await api("getFile", file_id=message["photo"][-1]["file_id"]))["result"]
    assert await download(file["file_path"]) == png()
    async with http.get(f"{sim.base_url}/sim/files/{file['file_id']}") as response:
        assert (await response.read(), response.content_type) == (png(), "image/png")
    assert "caption" not in (await sim.write(user=7, photo=png())).raw
    edited = await sim.edit(7, written.message_id, "else")
    assert (edited.raw["caption"], "text" in edited.raw) == ("else", False)
    with pytest.raises(SimRefusedError, match="photo: IMAGE_PROCESS_FAILED"):
        await sim.write(user=7, photo=b"no picture")


async def test_a_photo_is_edited(post: Call) -> None:
    """Its caption, its keyboard, and the photo itself."""
    sent = (await post("sendPhoto", {"photo": png()}, caption="one", has_spoiler="true"))["result"]
    assert sent["has_media_spoiler"] is True
    place = {"message_id": str(sent["message_id"])}
    edited = (await post("editMessageCaption", caption="two", **place))["result"]
    assert (edited["caption"], edited["photo"]) == ("two", sent["photo"])
    bare = (await post("editMessageCaption", **place))["result"]
    assert "caption" not in bare
    refused = await post("editMessageText", text="x", **place)
    assert refused["description"] == "Bad Request: there is no text in the message to edit"
    media = '{"type": "photo", "media": "attach://new", "caption": "three"}'
    changed = (await post("editMessageMedia", {"new": png(9, 9)}, media=media, **place))["result"]
    assert (changed["photo"][0]["width"], changed["caption"]) == (9, "three")
    assert "has_media_spoiler" not in changed
    video = await post("editMessageMedia", media='{"type": "video"}', **place)
    assert video["error_code"] == 501


async def test_a_photo_outlives_a_kill(tmp_path: Any, token: str) -> None:
    """What was sent can be downloaded after a SIGKILL."""
    async with SimProcess(state=tmp_path / "sim.db") as process, process.client(token) as sim:
        photo = (await sim.write(user=7, photo=png())).raw["photo"][0]
        await process.kill()
        await process.start()
        async with aiohttp.ClientSession() as session:
            path = f"{process.url}/bot{token}/getFile"
            async with session.get(path, params={"file_id": photo["file_id"]}) as response:
                file = (await response.json())["result"]
            address = f"{process.url}/file/bot{token}/{file['file_path']}"
            async with session.get(address) as response:
                assert await response.read() == png()
