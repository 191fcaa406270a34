"""The Caddyfile of a stack that declares a Caddy: who gets what Telegram brings.

What it does not pass on is 404. A bot's answers are passed on as they are, and where none is there
Telegram comes again by itself. The log has no headers: the secret is in one.
Source: caddyserver.com/docs/caddyfile.
"""

from infra.stack.compose.builds import INGRESS
from infra.stack.plan import Plan, Service

CADDYFILE = f"{INGRESS}/Caddyfile"
HEAD = "# Rendered from services.yml by `make sync-services`. Edit services.yml, not this file."
OPTIONS = """
{
	admin off
	storage file_system /var/lib/caddy
	http_port 8080
	https_port 8443
	auto_https disable_redirects
	log {
		format filter {
			wrap json
			fields {
				request>headers delete
			}
		}
	}
	servers {
		timeouts {
			read_header 10s
			read_body 10s
			idle 5m
		}
	}
}

# What the health check asks.
http://127.0.0.1:2020 {
	bind 127.0.0.1
	respond 200
}
"""
ACME = """
	tls {
		issuer acme {
			disable_http_challenge
		}
	}
"""
GIVEN = """
	tls {$WEBHOOK_CERTIFICATE_FILE} {$WEBHOOK_KEY_FILE}
"""
ROUTE = """
	handle /telegram/NAME {
		reverse_proxy NAME:PORT {
			transport http {
				dial_timeout 2s
				response_header_timeout 60s
			}
		}
	}
"""
REST = """
	handle {
		respond 404
	}
}
"""


def ingress_files(plan: Plan) -> dict[str, str]:
    """Return the text of the Caddyfile by its path; nothing where no Caddy is declared."""
    for caddy in plan.services:
        if caddy.type == "caddy":
            return {CADDYFILE: caddyfile(caddy, [plan.service(name) for name in caddy.fronts])}
    return {}


def caddyfile(caddy: Service, bots: list[Service]) -> str:
    """Return the text of a Caddyfile that passes requests on to bots."""
    routes = (ROUTE.replace("NAME", bot.name).replace("PORT", str(bot.port)) for bot in bots)
    site = [
        "{$WEBHOOK_DOMAIN} {",
        (GIVEN if caddy.certificate == "given" else ACME).strip("\n"),
        *(route.strip("\n") for route in routes),
        REST.strip("\n"),
    ]
    return "\n".join((HEAD, OPTIONS.strip("\n"), "", *site)) + "\n"
