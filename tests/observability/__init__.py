"""Prometheus and Alertmanager, as processes, watch a bot and a backend; each alert is fired."""
