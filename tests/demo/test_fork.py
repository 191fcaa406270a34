"""`make demo` of somebody else's project: their events, their secrets, their failing services."""

import os
from pathlib import Path

from tests.demo.running import at_a_terminal, started

BOT = Path("services/shop_bot/src/bot.py")


def test_every_event_of_every_handler_is_followed(fork: Path, folder: Path) -> None:
    """Their bot's event and the worker's, for a command and for plain text; each failure a line."""
    (fork / ".env").write_text("PAYMENT_KEY='sesame'\n")
    with started(folder, fork) as demo:
        out, err = demo.communicate(timeout=90)
    assert demo.returncode == os.EX_UNAVAILABLE, "a service that failed is no success"
    for part in (
        "site is a ready-made image (nginx:1.27): make dev-start runs it",
        "courier: MAPS_URL is not in .env; it is 'demo' here",
        "courier ended with 1: MAPS_URL is no address: demo",
        "Ada /order",
        "Ada hello",
        "bot Ordered. sesame",
        "[ Cancel ]",
        "XREAD STREAMS order_placed",
        "XREAD STREAMS order_cooked",
        "by cooks",
        "6 events: each in its stream once, 3 not yet handled.",
    ):
        assert part in out, out
    assert "PAYMENT_KEY is not in .env" not in out
    assert "Traceback" not in out + err
    assert err == ""


def test_a_bot_is_not_started_before_its_telegram(fork: Path, folder: Path) -> None:
    """Its first call succeeds, however long the simulator takes to come up."""
    declared = (fork / "services.yml").read_text()
    slow = (
        "import runpy, time; time.sleep(4); runpy.run_module('telegram_sim', run_name='__main__')"
    )
    port = "    port: 8081\n"
    late = declared.replace(port, f'{port}    command: [python, -c, "{slow}"]\n')
    assert late != declared
    (fork / "services.yml").write_text(late)
    with started(folder, fork) as demo:
        out, _ = demo.communicate(timeout=90)
    assert "shop_bot ended" not in out
    assert "bot Ordered. demo" in out


def test_a_worker_that_fails_later_is_a_line_and_the_rest_goes_on(fork: Path, folder: Path) -> None:
    """The bot answers after the worker's end as it did before."""
    with at_a_terminal(folder, fork) as terminal:
        terminal.read_until("oven ended with 1: ValueError: too hot")
        terminal.read_until("Ctrl-C ends the demo")
        terminal.write("after the end")
        terminal.read_until('"what": "after the end"')
        terminal.read_until("by cooks")


def test_a_save_starts_a_service_again(fork: Path, folder: Path) -> None:
    """What was saved answers; a save that cannot run is a line, and the next save mends it."""
    with at_a_terminal(folder, fork) as terminal:
        terminal.read_until("Ctrl-C ends the demo")
        text = (fork / BOT).read_text()
        (fork / BOT).write_text(text + "def (\n")
        terminal.read_until("shop_bot ended with 1: SyntaxError")
        (fork / BOT).write_text(text.replace("Ordered.", "Baked."))
        terminal.read_until("shop_bot runs again after")
        terminal.write("hi")
        terminal.read_until("Baked. demo")
        (fork / ".env").write_text("PAYMENT_KEY=sesame\n")
        terminal.read_until(".env was saved")
        terminal.write("hi again")
        terminal.read_until("Baked. sesame")


def test_a_stack_without_a_simulator_is_told_in_one_line(fork: Path, folder: Path) -> None:
    """There is nothing to talk to; the line says what is missing."""
    declared = (fork / "services.yml").read_text()
    (fork / "services.yml").write_text(declared.replace("TELEGRAM_API_URL: {from: self}", ""))
    with started(folder, fork) as demo:
        out, err = demo.communicate(timeout=60)
    assert demo.returncode == os.EX_CONFIG
    assert out == ""
    assert err.count("\n") == 1
    assert "no service of services.yml provides TELEGRAM_API_URL" in err


def test_one_of_two_deliveries_is_seen(fork: Path, folder: Path) -> None:
    """A bot that publishes everything twice does not pass for one that publishes once."""
    text = (fork / BOT).read_text()
    publish = next(line for line in text.splitlines() if "xadd" in line)
    (fork / BOT).write_text(text.replace(publish, f"{publish}\n{publish}"))
    with started(folder, fork) as demo:
        _, err = demo.communicate(timeout=90)
    assert demo.returncode == os.EX_UNAVAILABLE
    assert "order_placed holds event" in err
    assert "more than once" in err


def test_a_stack_without_infrastructure_has_a_demo(echo: Path, folder: Path) -> None:
    """Neither Redis nor a database nor a backend is needed to talk to a bot."""
    with started(folder, echo) as demo:
        out, err = demo.communicate(timeout=90)
    assert (demo.returncode, err) == (os.EX_OK, "")
    assert "bot You said hello" in out
    assert "no event was published" in out
