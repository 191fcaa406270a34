"""The simulator as a process: what it is told, how it starts and how it ends."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from telegram_sim.client import SimAwayError, SimClient, SimProcess, SimRefusedError

TOKEN = "123456:" + "x" * 35


async def run(*arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run the simulator to its end; return its exit code and what it wrote."""
    environ = {name: value for name, value in os.environ.items() if name[:4] != "SIM_"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "telegram_sim", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environ | variables,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SIM_PORT": "abc"}, "SIM_PORT must be a number from 0 to 65535, not 'abc'"),
        ({"SIM_PORT": "70000"}, "SIM_PORT must be a number from 0 to 65535, not '70000'"),
        ({"SIM_TOKENS": "1:short"}, "SIM_TOKENS (--token) has a token of the wrong shape"),
        ({"SIM_LIMITS": "maybe"}, "SIM_LIMITS must be one of on, off, not 'maybe'"),
        ({"SIM_HISTORY": "0"}, "SIM_HISTORY must be a number from 1 to"),
        ({"SIM_FRAMES": "http://a; script-src *"}, "SIM_FRAMES has 'http://a; script-src *'"),
        ({"SIM_LOG_FORMAT": "xml"}, "SIM_LOG_FORMAT must be one of auto, console, json"),
    ],
)
async def test_a_bad_value_is_one_line_and_exit_code_78(
    variables: dict[str, str], message: str
) -> None:
    """The line names the variable and what it may be; there is no traceback."""
    code, out, err = await run(**variables)
    assert (code, out) == (78, "")
    assert err.startswith(f"telegram_sim: {message}")
    assert err.count("\n") == 1


async def test_a_bad_flag_is_one_line_and_exit_code_64() -> None:
    """An unknown flag is a usage error."""
    code, _, err = await run("--prot", "1")
    assert (code, err) == (64, "telegram_sim: unrecognized arguments: --prot 1 (see --help)\n")


async def test_a_flag_wins_over_its_variable_and_is_named_in_errors() -> None:
    """--port is looked at first."""
    code, _, err = await run("--port", "x", SIM_PORT="1")
    assert (code, err) == (
        78,
        "telegram_sim: --port must be a number from 0 to 65535, not 'x'\n",
    )


async def test_help_names_every_variable_and_exit_code() -> None:
    """--help is complete."""
    code, out, _ = await run("--help")
    assert code == 0
    for name in ("HOST", "PORT", "STATE", "TOKENS", "LIMITS", "HISTORY", "LOG_FORMAT"):
        assert f"SIM_{name}" in out
    for number in (0, 64, 69, 74, 78):
        assert f"{number} " in out


async def test_a_taken_port_is_one_line_and_exit_code_69(shared: SimProcess) -> None:
    """The address cannot be had."""
    code, _, err = await run("--port", str(shared.port))
    assert code == 69
    assert err.startswith(f"telegram_sim: cannot listen on 127.0.0.1 port {shared.port}: ")
    assert err.count("\n") == 1


async def test_a_state_file_that_cannot_be_had_is_one_line_and_exit_code_74(
    tmp_path: Path,
) -> None:
    """A folder is no state file, and neither is somebody else's."""
    foreign = tmp_path / "foreign"
    foreign.write_text("this is no database, but a text of some length\n" * 100)
    for path in (tmp_path, foreign):
        code, _, err = await run("--port", "0", SIM_STATE=str(path))
        assert code == 74
        assert err.startswith(f"telegram_sim: cannot open the state file {path}: ")
        assert err.count("\n") == 1


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
async def test_a_signal_ends_it_with_exit_code_0(signal: str) -> None:
    """Soon, even while a long poll waits, and with nothing on standard error."""
    environ = {**os.environ, "SIM_PORT": "0", "SIM_LOG_FORMAT": "json"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "telegram_sim"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environ,
    )
    assert process.stdout is not None
    line = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    assert line["event"] == "listening"
    assert line["url"] == f"http://127.0.0.1:{line['port']}"
    async with aiohttp.ClientSession() as session:
        poll = asyncio.create_task(
            session.get(f"{line['url']}/bot{TOKEN}/getUpdates", params={"timeout": "50"})
        )
        query = {"token": TOKEN, "chat": "7", "timeout": "120"}
        wait = asyncio.create_task(session.get(f"{line['url']}/sim/wait", params=query))
        await asyncio.sleep(0.3)
        process.send_signal(getattr(__import__("signal"), signal))
        response = await asyncio.wait_for(poll, 30)
        assert (await response.json())["result"] == []
        _, err = await asyncio.wait_for(process.communicate(), 20)
        wait.cancel()
    assert (process.returncode, err) == (0, b"")


async def fill(sim: SimClient) -> None:
    """Write more than any file here may hold."""
    for _ in range(200):
        await sim.write_many("x" * 4000, count=50)


async def test_a_state_file_that_can_no_longer_be_written_ends_it_with_exit_code_74(
    tmp_path: Path,
) -> None:
    """What cannot be kept is not told: the request fails, and the process ends with one line."""
    state = tmp_path / "sim.db"
    limited = f"ulimit -f 400; exec {sys.executable} -m telegram_sim --port 0 --state {state}"
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", limited),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "SIM_LOG_FORMAT": "json"},
    )
    assert process.stdout is not None
    url = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))["url"]
    async with SimClient(url, token=TOKEN) as sim:
        with pytest.raises((SimAwayError, SimRefusedError)):
            await fill(sim)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 74
    assert err.decode().startswith(f"telegram_sim: cannot write the state file {state}: ")
    assert err.count(b"\n") == 1
    assert b"Traceback" not in out


async def test_one_state_file_has_one_simulator(tmp_path: Path) -> None:
    """A second one on the same file does not start."""
    state = tmp_path / "sim.db"
    async with SimProcess(state=state):
        code, _, err = await run("--port", "0", "--state", str(state))
    assert code == 74
    assert "locked" in err


def test_every_module_imports_with_an_empty_environment() -> None:
    """Importing reads no variable and opens no socket."""
    program = (
        "import importlib, pkgutil, socket, telegram_sim\n"
        "socket.socket.bind = socket.socket.connect = None\n"
        "for module in pkgutil.walk_packages(telegram_sim.__path__, 'telegram_sim.'):\n"
        "    if not module.name.endswith('__main__'): importlib.import_module(module.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env={}, check=False)
    assert done.returncode == 0


async def test_health_answers(shared: SimProcess, http: aiohttp.ClientSession) -> None:
    """Compose asks /health."""
    async with http.get(f"{shared.url}/health") as response:
        assert (response.status, await response.json()) == (200, {"ok": True})


async def test_no_token_is_in_a_log_line(token: str) -> None:
    """Whatever happens, the log does not have it."""
    async with SimProcess(tokens=(token,)) as process, process.client(token) as sim:
        await sim.write("/secret")
        await sim.add_fault("error", count=1)
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                await session.get(f"{process.url}/bot{token}/getUpdates")
        assert await process.stop() == 0
        log = "".join(process.log)
        assert "listening" in log
        assert token not in log
        assert "/secret" not in log
